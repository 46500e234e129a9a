// Included by adamw8bit_kernels_<level>.cpp, which defines LORIKEET_LEVEL; compiled without contraction. No standard
// library here: see row_kernels.inl. Order of operations and fused steps are those of the reference's tensor operations.
#include "core/ops/adamw8bit_kernels.h"

namespace lorikeet::LORIKEET_LEVEL {
namespace {

constexpr int64_t kBlock = 256;

/// Codes x[0..n) against its largest magnitude, which is returned. A block of zeros gets codes 0.
float encode(const float* x, const uint8_t* code_of_point, uint8_t* codes, int64_t n) {
  float largest = 0;
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < n; ++i) {
    const float size = __builtin_fabsf(x[i]);
    largest = size > largest ? size : largest;
  }
  const float inverse = 1.0f / (largest == 0 ? 1.0f : largest);
  int32_t points[kBlock];
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {  // dynamic_code(), written out
    const float scaled = x[i] * inverse, above = scaled >= -1.0f ? scaled : -1.0f, inside = above < 1.0f ? above : 1.0f;
    points[i] = static_cast<int32_t>((inside + 1.0f) * 0.5f * 65535.0f + 0.5f);
  }
  for (int64_t i = 0; i < n; ++i) codes[i] = largest == 0 ? uint8_t{0} : code_of_point[points[i]];
  return largest;
}

void block(const Adamw8bitConstants& c, float* p, const float* g, uint8_t* m_codes, uint8_t* v_codes, float* m_absmax, float* v_absmax, int64_t n) {
  float m[kBlock], v[kBlock];
  const float *first = c.first_values, *second = c.second_values;
  const float m_scale = *m_absmax, v_scale = *v_absmax, grad_scale = c.grad_scale, decay = c.decay, beta1 = c.beta1, beta2 = c.beta2;
  const float rest1 = c.one_minus_beta1, rest2 = c.one_minus_beta2, minus_step_size = c.minus_step_size, root_correction = c.root_correction, eps = c.eps;
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float gradient = g[i] * grad_scale;
    m[i] = __builtin_fmaf(gradient, rest1, first[m_codes[i]] * m_scale * beta1);
    v[i] = __builtin_fmaf(rest2 * gradient, gradient, second[v_codes[i]] * v_scale * beta2);
    const float denominator = __builtin_sqrtf(v[i]) / root_correction + eps;
    p[i] = p[i] * decay + minus_step_size * m[i] / denominator;
  }
  *m_absmax = encode(m, c.first_code_of_point, m_codes, n);
  *v_absmax = encode(v, c.second_code_of_point, v_codes, n);
}

}  // namespace

const Adamw8bitBlockFn kAdamw8bitBlock = &block;

}  // namespace lorikeet::LORIKEET_LEVEL
