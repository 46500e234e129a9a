#include "core/ops/row_kernels.h"
#include "core/ops/swiglu.h"
#include "core/ops/tiles.h"

namespace lorikeet {
namespace {

template <class T>
void forward(Context& cx, const SwigluArgs& a) {
  const RowKernels<T>& kernels = row_kernels<T>(cx.level());
  const int64_t width = a.gate.width();
  cx.pool().for_blocks(a.gate.rows(), row_block(width), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) kernels.silu_multiply(a.gate.row<T>(r), a.up.row<T>(r), a.y.row<T>(r), width);
  });
}

template <class T>
void backward(Context& cx, const SwigluBackwardArgs& a) {
  const RowKernels<T>& kernels = row_kernels<T>(cx.level());
  const int64_t width = a.gate.width();
  cx.pool().for_blocks(a.gate.rows(), row_block(width), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r)
      kernels.silu_multiply_backward(a.dy.row<T>(r), a.gate.row<T>(r), a.up.row<T>(r), a.d_gate.row<T>(r), a.d_up.row<T>(r), width);
  });
}

}  // namespace

void swiglu_cpu(Context& cx, const SwigluArgs& a) {
  a.gate.dtype() == DType::f64 ? forward<double>(cx, a) : forward<float>(cx, a);
}
void swiglu_backward_cpu(Context& cx, const SwigluBackwardArgs& a) {
  a.gate.dtype() == DType::f64 ? backward<double>(cx, a) : backward<float>(cx, a);
}

}  // namespace lorikeet
