#include <cmath>

#include "core/ops/cpu_twins.h"
#include "core/ops/row_kernels.h"

namespace lorikeet {
namespace {

constexpr int64_t kRows = 16;  // rows a task, fixed: the result does not depend on the threads

void forward_f64(const RmsNormArgs& a, int64_t r) {
  const double *x = a.x.row<double>(r), *w = a.weight.data<double>();
  double sum = 0;
  for (int64_t i = 0; i < a.x.width(); ++i) sum += x[i] * x[i];
  const double rstd = 1 / std::sqrt(sum / static_cast<double>(a.x.width()) + a.eps);
  if (a.rstd) a.rstd->data<double>()[r] = rstd;
  double* y = a.y.row<double>(r);
  for (int64_t i = 0; i < a.x.width(); ++i) y[i] = x[i] * rstd * w[i];
}

void backward_f64(const RmsNormBackwardArgs& a, int64_t r) {
  const double *dy = a.dy.row<double>(r), *x = a.x.row<double>(r), *w = a.weight.data<double>();
  const double rstd = a.rstd.data<double>()[r];
  const int64_t n = a.x.width();
  double m = 0;
  for (int64_t i = 0; i < n; ++i) m += dy[i] * w[i] * x[i];
  m = m * rstd / static_cast<double>(n);
  double* dx = a.dx.row<double>(r);
  for (int64_t i = 0; i < n; ++i) dx[i] = (a.accumulate ? dx[i] : 0) + rstd * (dy[i] * w[i] - x[i] * rstd * m);
}

}  // namespace

void rms_norm_cpu(Context& cx, const RmsNormArgs& a) {
  const RowKernels& k = row_kernels(cx.level());
  const int64_t n = a.x.width();
  cx.pool().for_blocks(a.x.rows(), kRows, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      if (a.x.dtype() == DType::f64) {
        forward_f64(a, r);
        continue;
      }
      const float* x = a.x.row<float>(r);
      const float mean = k.sum_of_squares(x, n) / static_cast<float>(n);
      const float rstd = 1 / std::sqrt(mean + static_cast<float>(a.eps));
      if (a.rstd) a.rstd->data<float>()[r] = rstd;
      if (a.y.dtype() == DType::bf16) k.scale_mul_bf16(x, a.weight.data<float>(), rstd, a.y.bits16() + r * a.y.row_stride(), n);
      else k.scale_mul(x, a.weight.data<float>(), rstd, a.y.row<float>(r), n);
    }
  });
}

void rms_norm_backward_cpu(Context& cx, const RmsNormBackwardArgs& a) {
  const RowKernels& k = row_kernels(cx.level());
  const int64_t n = a.x.width();
  cx.pool().for_blocks(a.x.rows(), kRows, [&](int64_t begin, int64_t end, int thread) {
    // Added in a step of its own: the same bits as a sum of two tensors.
    float* part = a.accumulate ? static_cast<float*>(cx.scratch(thread, 0, static_cast<size_t>(n) * sizeof(float))) : nullptr;
    for (int64_t r = begin; r < end; ++r) {
      if (a.x.dtype() == DType::f64) {
        backward_f64(a, r);
        continue;
      }
      const float *dy = a.dy.row<float>(r), *x = a.x.row<float>(r), *w = a.weight.data<float>();
      const float rstd = a.rstd.data<float>()[r];
      const float m = k.dot3(dy, w, x, n) * rstd / static_cast<float>(n);
      float* dx = a.dx.row<float>(r);
      k.rms_norm_dx(dy, x, w, rstd, m, part ? part : dx, n);
      if (part) k.add(part, dx, dx, n);
    }
  });
}

}  // namespace lorikeet
