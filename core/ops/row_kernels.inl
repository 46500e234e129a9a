// Included by row_kernels_<level>.cpp, which defines LORIKEET_LEVEL and, where the unit has conversions to bf16,
// LORIKEET_BF16_INSTRUCTIONS. No standard library here: an inline function
// compiled with wide instructions must never be picked by the linker for the plain build.
#include "core/ops/row_kernels.h"

namespace lorikeet::LORIKEET_LEVEL {
namespace {

// exp by 2^k e^r with |r| <= ln 2 / 2: ln 2 in two parts, a polynomial of degree 7 (Cephes' coefficients, which are
// fitted rather than a Taylor series). Error below 2 units in the last place; 0 below -87.3, NaN stays NaN.
inline float exp_of(float x0) {
  constexpr float kLow = -87.3365f, kHigh = 88.3762f;
  float x = x0 > kHigh ? kHigh : x0;
  x = x < kLow ? kLow : x;
  const float shifted = x * 1.44269504088896341f + 12582912.0f;  // 1.5 * 2^23: rounds to the nearest integer in the low bits
  const float k = shifted - 12582912.0f;
  float r = x - k * 0.693359375f;
  r = r + k * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  uint32_t bits;  // the integer is read from the low bits: converting a NaN to int would be undefined
  __builtin_memcpy(&bits, &shifted, 4);
  bits = (bits - 0x4B400000u + 127u) << 23;
  float scale;
  __builtin_memcpy(&scale, &bits, 4);
  return x0 < kLow ? 0.0f : p * scale;
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

void add(const float* a, const float* b, float* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = a[i] + b[i];
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

// A gate is x sigmoid(inner(x)); its slope is sigmoid (1 + x (1 - sigmoid) inner').
struct Silu {
  static float inner(float x) { return x; }
  static float slope(float) { return 1.0f; }
};
// 2 sqrt(2 / pi) (x + 0.044715 x^3) where that is not far beyond both ends of the sigmoid.
struct GeluTanh {
  static constexpr float kFirst = 1.5957691216f, kThird = 1.5957691216f * 0.044715f, kMost = 12.0f;
  static float clamped(float x) { return x < -kMost ? -kMost : x > kMost ? kMost : x; }
  static float inner(float x) {
    const float c = clamped(x);
    return c * (kFirst + kThird * c * c);
  }
  static float slope(float x) {
    const float c = clamped(x);
    return kFirst + 3.0f * kThird * c * c;
  }
};

template <class Gate>
void gate_mul(const float* g, const float* u, float* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = g[i] * sigmoid(Gate::inner(g[i])) * u[i];
}

template <class Gate>
void gate_mul_backward(const float* dy, const float* g, const float* u, float* dg, float* du, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float d = dy[i], a = g[i], b = u[i], s = sigmoid(Gate::inner(a));
    dg[i] = d * b * s * (1.0f + a * (1.0f - s) * Gate::slope(a));
    du[i] = d * a * s;
  }
}

void rms_norm_dx(const float* dy, const float* x, const float* w, float rstd, float m, float* dx, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) dx[i] = rstd * (dy[i] * w[i] - x[i] * rstd * m);
}

float sum_about(const float* x, float about, int64_t n) {
  float s = 0;
#pragma omp simd reduction(+ : s)
  for (int64_t i = 0; i < n; ++i) s += x[i] - about;
  return s;
}

float squares_about(const float* x, float about, int64_t n) {
  float s = 0;
#pragma omp simd reduction(+ : s)
  for (int64_t i = 0; i < n; ++i) s += (x[i] - about) * (x[i] - about);
  return s;
}

float dot3_about(const float* a, const float* b, const float* x, float about, int64_t n) {
  float s = 0;
#pragma omp simd reduction(+ : s)
  for (int64_t i = 0; i < n; ++i) s += a[i] * b[i] * (x[i] - about);
  return s;
}

void layer_norm(const float* x, const float* w, const float* b, float mean, float rstd, float* y, int64_t n) {
  if (b) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - mean) * rstd * w[i] + b[i];
  } else {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - mean) * rstd * w[i];
  }
}

void layer_norm_dx(const float* dy, const float* x, const float* w, const LayerNormRow& row, float* dx, int64_t n) {
  const float mean = row.mean, rstd = row.rstd, gradient = row.gradient, pull = row.pull;
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) dx[i] = rstd * (dy[i] * w[i] - gradient - (x[i] - mean) * rstd * pull);
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

void dropout(const DropoutRow& d, const float* x, float scale, float* y, int64_t n) {
  const uint32_t k0 = d.key[0], k1 = d.key[1], k2 = d.key[2], k3 = d.key[3], threshold = d.threshold;
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {  // dropout_hash(), written out
    uint32_t h = (static_cast<uint32_t>(i) ^ k0) * 0x9E3779B1u + k1;
    h ^= h >> 16;
    h *= 0x85EBCA6Bu;
    h ^= (h >> 13) ^ k2;
    h *= 0xC2B2AE35u;
    h ^= (h >> 16) ^ k3;
    h *= 0x27D4EB2Fu;
    h ^= h >> 15;
    const float kept = x[i] * scale;
    y[i] = h < threshold ? 0.0f : kept;
  }
}

#ifdef LORIKEET_BF16_INSTRUCTIONS
#include "core/ops/row_kernels_bf16_avx512.inl"
#else
#include "core/ops/row_kernels_bf16.inl"
#endif

}  // namespace

const RowKernels kRowKernels = {&sum_of_squares, &dot, &max_of, &scale_mul, &add, &axpy, &exp_sum, &gate_mul<Silu>, &gate_mul_backward<Silu>,
                                &gate_mul<GeluTanh>, &gate_mul_backward<GeluTanh>, &rms_norm_dx, &dot3, &sum_about, &squares_about, &dot3_about, &layer_norm, &layer_norm_dx, &rotate, &adamw, &dropout,
                                &to_bf16, &from_bf16, &scale_mul_bf16, &gate_mul_bf16<Silu>, &gate_mul_backward_bf16<Silu>,
                                &gate_mul_bf16<GeluTanh>, &gate_mul_backward_bf16<GeluTanh>, &exp_sum_bf16, &turn, &dot_bf16, &score_gradient};

}  // namespace lorikeet::LORIKEET_LEVEL
