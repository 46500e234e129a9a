// A task is a block of tokens; the table row of a token serves all its heads.
#include "core/ops/rope.h"
#include "core/ops/row_kernels.h"
#include "core/ops/tiles.h"

namespace lorikeet {
namespace {

template <class T>
void run(Context& cx, const RopeArgs& a) {
  const RowKernels<T>& kernels = row_kernels<T>(cx.level());
  const int64_t half = a.head_dim / 2, heads = a.x.dim(1) / a.head_dim;
  const T sign = a.inverse ? T(-1) : T(1);
  cx.pool().for_blocks(a.x.dim(0), row_block(a.x.dim(1)), [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      const T* table = a.cos_sin.row<T>(a.positions.data<int32_t>()[t]);
      for (int64_t h = 0; h < heads; ++h) kernels.rotate(a.x.row<T>(t) + h * a.head_dim, table, table + half, sign, half);
    }
  });
}

}  // namespace

void rope_cpu(Context& cx, const RopeArgs& a) {
  a.x.dtype() == DType::f64 ? run<double>(cx, a) : run<float>(cx, a);
}

}  // namespace lorikeet
