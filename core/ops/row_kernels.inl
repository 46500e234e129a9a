// Included by row_kernels_<level>.cpp, which defines LORIKEET_LEVEL. No standard library here: an inline function
// compiled with wide instructions must never be picked by the linker for the plain build.
#include "core/ops/row_kernels.h"

namespace lorikeet::LORIKEET_LEVEL {
namespace {

// exp by 2^k * 2^f, f in [-1/2, 1/2], with the Taylor series of 2^f to degree 6: relative error below 2e-7.
inline float exp_of(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  const float t = x * 1.44269504088896341f;
  const float shifted = t + 12582912.0f;  // 1.5 * 2^23: rounds to the nearest integer in the low bits
  const float k = shifted - 12582912.0f;
  const float f = (t - k) * 0.6931471805599453f;
  float p = 1.0f / 720;
  p = p * f + 1.0f / 120;
  p = p * f + 1.0f / 24;
  p = p * f + 1.0f / 6;
  p = p * f + 0.5f;
  p = p * f + 1.0f;
  p = p * f + 1.0f;
  const int bits = (static_cast<int>(k) + 127) << 23;
  float scale;
  __builtin_memcpy(&scale, &bits, 4);
  return p * scale;
}

inline float sigmoid(float x) { return 1.0f / (1.0f + exp_of(-x)); }

float sum_of_squares(const float* x, int64_t n) {
  float s = 0;
#pragma omp simd reduction(+ : s)
  for (int64_t i = 0; i < n; ++i) s += x[i] * x[i];
  return s;
}

float dot(const float* x, const float* y, int64_t n) {
  float s = 0;
#pragma omp simd reduction(+ : s)
  for (int64_t i = 0; i < n; ++i) s += x[i] * y[i];
  return s;
}

float dot3(const float* a, const float* b, const float* c, int64_t n) {
  float s = 0;
#pragma omp simd reduction(+ : s)
  for (int64_t i = 0; i < n; ++i) s += a[i] * b[i] * c[i];
  return s;
}

float max_of(const float* x, int64_t n) {
  float m = x[0];
#pragma omp simd reduction(max : m)
  for (int64_t i = 0; i < n; ++i) m = x[i] > m ? x[i] : m;
  return m;
}

void scale_mul(const float* x, const float* w, float s, float* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] * s * w[i];
}

void axpy(const float* x, float s, float* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] += s * x[i];
}

float exp_sum(float* x, float scale, float offset, int64_t n) {
  float s = 0;
#pragma omp simd reduction(+ : s)
  for (int64_t i = 0; i < n; ++i) {
    const float e = exp_of(x[i] * scale - offset);
    x[i] = e;
    s += e;
  }
  return s;
}

void silu_mul(const float* g, const float* u, float* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = g[i] * sigmoid(g[i]) * u[i];
}

void silu_mul_backward(const float* dy, const float* g, const float* u, float* dg, float* du, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float d = dy[i], a = g[i], b = u[i], s = sigmoid(a);
    dg[i] = d * b * s * (1.0f + a * (1.0f - s));
    du[i] = d * a * s;
  }
}

void rms_norm_dx(const float* dy, const float* x, const float* w, float rstd, float m, float* dx, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) dx[i] = rstd * (dy[i] * w[i] - x[i] * rstd * m);
}

void rotate(float* a, float* b, const float* cos, const float* sin, float sign, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float x = a[i], y = b[i], s = sign * sin[i];
    a[i] = x * cos[i] - y * s;
    b[i] = y * cos[i] + x * s;
  }
}

void adamw(float* p, const float* g, float* m, float* v, float grad_scale, float decay, float one_minus_beta1, float beta2, float one_minus_beta2, float step_size,
           float root_correction, float eps, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float gradient = g[i] * grad_scale;
    m[i] = m[i] + (gradient - m[i]) * one_minus_beta1;
    v[i] = v[i] * beta2 + one_minus_beta2 * gradient * gradient;
    const float denominator = __builtin_sqrtf(v[i]) / root_correction + eps;
    p[i] = p[i] * decay - step_size * (m[i] / denominator);
  }
}

}  // namespace

const RowKernels kRowKernels = {&sum_of_squares, &dot, &max_of, &scale_mul, &axpy, &exp_sum, &silu_mul, &silu_mul_backward, &rms_norm_dx, &dot3, &rotate, &adamw};

}  // namespace lorikeet::LORIKEET_LEVEL
