#include <cmath>

#include "core/ops/cpu_twins.h"
#include "core/ops/row_kernels.h"

namespace lorikeet {
namespace {

constexpr int64_t kRows = 16;  // rows a task, fixed: the result does not depend on the threads

void forward_f64(const LayerNormArgs& a, int64_t r) {
  const double *x = a.x.row<double>(r), *w = a.weight.data<double>(), *b = a.bias ? a.bias->data<double>() : nullptr;
  const int64_t n = a.x.width();
  double shifted = 0, squares = 0;
  for (int64_t i = 0; i < n; ++i) shifted += x[i] - x[0];
  const double mean = x[0] + shifted / static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
  const double rstd = 1 / std::sqrt(squares / static_cast<double>(n) + a.eps);
  if (a.rstd) {
    a.mean->data<double>()[r] = mean;
    a.rstd->data<double>()[r] = rstd;
  }
  double* y = a.y.row<double>(r);
  for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - mean) * rstd * w[i] + (b ? b[i] : 0);
}

void backward_f64(const LayerNormBackwardArgs& a, int64_t r) {
  const double *dy = a.dy.row<double>(r), *x = a.x.row<double>(r), *w = a.weight.data<double>();
  const double mean = a.mean.data<double>()[r], rstd = a.rstd.data<double>()[r];
  const int64_t n = a.x.width();
  double sum = 0, along = 0;
  for (int64_t i = 0; i < n; ++i) {
    sum += dy[i] * w[i];
    along += dy[i] * w[i] * (x[i] - mean);
  }
  const double m = sum / static_cast<double>(n), pull = along * rstd / static_cast<double>(n);
  double* dx = a.dx.row<double>(r);
  for (int64_t i = 0; i < n; ++i) dx[i] = (a.accumulate ? dx[i] : 0) + rstd * (dy[i] * w[i] - m - (x[i] - mean) * rstd * pull);
}

}  // namespace

void layer_norm_cpu(Context& cx, const LayerNormArgs& a) {
  const RowKernels& k = row_kernels(cx.level());
  const int64_t n = a.x.width();
  const float *w = a.x.dtype() == DType::f32 ? a.weight.data<float>() : nullptr, *b = w && a.bias ? a.bias->data<float>() : nullptr;
  cx.pool().for_blocks(a.x.rows(), kRows, [&](int64_t begin, int64_t end, int thread) {
    float* exact = a.y.dtype() == DType::bf16 ? static_cast<float*>(cx.scratch(thread, 0, static_cast<size_t>(n) * sizeof(float))) : nullptr;
    for (int64_t r = begin; r < end; ++r) {
      if (!w) {
        forward_f64(a, r);
        continue;
      }
      const float* x = a.x.row<float>(r);
      // About the first element: the rounding of the sum is that of deviations, not of the mean.
      const float mean = x[0] + k.sum_about(x, x[0], n) / static_cast<float>(n);
      const float variance = k.squares_about(x, mean, n) / static_cast<float>(n);
      const float rstd = 1 / std::sqrt(variance + static_cast<float>(a.eps));
      if (a.rstd) {
        a.mean->data<float>()[r] = mean;
        a.rstd->data<float>()[r] = rstd;
      }
      k.layer_norm(x, w, b, mean, rstd, exact ? exact : a.y.row<float>(r), n);
      if (exact) k.to_bf16(exact, a.y.bits16() + r * a.y.row_stride(), n);
    }
  });
}

void layer_norm_backward_cpu(Context& cx, const LayerNormBackwardArgs& a) {
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
      const float mean = a.mean.data<float>()[r], rstd = a.rstd.data<float>()[r];
      const float m = k.dot(dy, w, n) / static_cast<float>(n), pull = k.dot3_about(dy, w, x, mean, n) * rstd / static_cast<float>(n);
      float* dx = a.dx.row<float>(r);
      k.layer_norm_dx(dy, x, w, {mean, rstd, m, pull}, part ? part : dx, n);
      if (part) k.add(part, dx, dx, n);
    }
  });
}

}  // namespace lorikeet
