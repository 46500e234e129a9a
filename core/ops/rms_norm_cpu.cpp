// A task is a block of rows; dx = rstd (v - xh mean(v xh)) with v = dy weight, xh = x rstd.
#include <cmath>

#include "core/ops/rms_norm.h"
#include "core/ops/row_kernels.h"
#include "core/ops/tiles.h"

namespace lorikeet {
namespace {

template <class T>
void forward(Context& cx, const RmsNormArgs& a) {
  const RowKernels<T>& kernels = row_kernels<T>(cx.level());
  const int64_t width = a.x.width();
  cx.pool().for_blocks(a.x.rows(), row_block(width), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      const T mean = kernels.sum_of_squares(a.x.row<T>(r), width) / static_cast<T>(width);
      const T rstd = 1 / std::sqrt(mean + static_cast<T>(a.eps));
      kernels.scale_multiply(a.x.row<T>(r), rstd, a.weight.data<T>(), a.y.row<T>(r), width);
      if (a.rstd) a.rstd->data<T>()[r] = rstd;
    }
  });
}

template <class T>
void backward(Context& cx, const RmsNormBackwardArgs& a) {
  const RowKernels<T>& kernels = row_kernels<T>(cx.level());
  const int64_t width = a.x.width();
  cx.pool().for_blocks(a.x.rows(), row_block(width), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r)
      kernels.rms_backward(a.dy.row<T>(r), a.x.row<T>(r), a.weight.data<T>(), a.rstd.data<T>()[r], a.dx.row<T>(r), width);
  });
}

}  // namespace

void rms_norm_cpu(Context& cx, const RmsNormArgs& a) {
  a.x.dtype() == DType::f64 ? forward<double>(cx, a) : forward<float>(cx, a);
}
void rms_norm_backward_cpu(Context& cx, const RmsNormBackwardArgs& a) {
  a.x.dtype() == DType::f64 ? backward<double>(cx, a) : backward<float>(cx, a);
}

}  // namespace lorikeet
