/// One block of the 8-bit AdamW update, once per CPU level from the same source (adamw8bit_kernels.inl). Every rounding
/// is spelled out there, so all levels give the same bits.
#pragma once
#include <cstdint>

namespace lorikeet {

struct Adamw8bitConstants {
  float grad_scale, decay, beta1, one_minus_beta1, beta2, one_minus_beta2;
  float minus_step_size;   // -lr / (1 - beta1^t)
  float root_correction;   // sqrt(1 - beta2^t)
  float eps;
  const float *first_values, *second_values;             // [256], the maps of dynamic_map.h
  const uint8_t *first_code_of_point, *second_code_of_point;  // [65536]
};
/// n <= 256 elements; the maxima are one number each.
using Adamw8bitBlockFn = void (*)(const Adamw8bitConstants& c, float* p, const float* g, uint8_t* m_codes, uint8_t* v_codes, float* m_absmax, float* v_absmax, int64_t n);
namespace scalar { extern const Adamw8bitBlockFn kAdamw8bitBlock; }
namespace avx2 { extern const Adamw8bitBlockFn kAdamw8bitBlock; }
namespace avx512 { extern const Adamw8bitBlockFn kAdamw8bitBlock; }

}  // namespace lorikeet
