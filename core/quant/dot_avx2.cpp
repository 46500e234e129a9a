// Dot kernels for AVX2 + FMA + F16C. Compiled with those instruction sets: see decode_kernels.h for what may be included.
#include <immintrin.h>

#include "core/quant/dot_kernels.h"

namespace lorikeet::avx2_level {
namespace {

using Vec = __m256;
using Int = __m256i;
constexpr int kLanes = 8, kParts = 4, kMostTokens = 2;

inline float half_at(const uint8_t* p) { return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(p[0] | (p[1] << 8)))); }
inline Vec zero() { return _mm256_setzero_ps(); }
inline Vec load(const float* p) { return _mm256_loadu_ps(p); }
inline Vec broadcast(float v) { return _mm256_set1_ps(v); }
inline Vec first_lane(__m128 v) { return _mm256_broadcastss_ps(v); }
inline Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
inline Vec mul(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
inline Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
inline float total(Vec v) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
inline Int bytes(const uint8_t* p) { return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))); }
inline Int signed_bytes(const uint8_t* p) { return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))); }
inline Int high_nibble(Int q) { return _mm256_srli_epi32(q, 4); }
inline Vec to_float(Int v) { return _mm256_cvtepi32_ps(v); }
inline Vec halves(const uint8_t* p) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
inline Vec bfloats(const uint8_t* p) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))), 16));
}
inline Int six_bits(Int low, int low_shift, Int high, int high_shift) {
  const Int four = _mm256_and_si256(_mm256_srl_epi32(low, _mm_cvtsi32_si128(low_shift)), _mm256_set1_epi32(15));
  const Int two = _mm256_and_si256(_mm256_srl_epi32(high, _mm_cvtsi32_si128(high_shift)), _mm256_set1_epi32(3));
  return _mm256_sub_epi32(_mm256_or_si256(four, _mm256_slli_epi32(two, 4)), _mm256_set1_epi32(32));
}
inline void load_even_odd(const float* x, Vec& even, Vec& odd) {
  const Vec a = load(x), b = load(x + kLanes);
  const auto in_order = [](Vec v) { return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(v), 0xD8)); };
  even = in_order(_mm256_shuffle_ps(a, b, 0x88));
  odd = in_order(_mm256_shuffle_ps(a, b, 0xDD));
}

void scales_of_q41(const uint8_t* p, int64_t blocks, float* scales, float* minima) {
  for (int64_t b = 0; b < blocks; ++b) {
    int both;
    __builtin_memcpy(&both, p + b * 20, 4);
    const __m128 two = _mm_cvtph_ps(_mm_cvtsi32_si128(both));
    scales[b] = _mm_cvtss_f32(two);
    minima[b] = _mm_cvtss_f32(_mm_movehdup_ps(two));
  }
}

// A 16-entry lookup as two 8-entry ones, chosen by bit 3 of the code.
struct Table {
  Vec low, high;
  Table(const float* table, Vec scale) : low(mul(load(table), scale)), high(mul(load(table + 8), scale)) {}
  Vec of(Int codes) const {
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, codes), _mm256_permutevar8x32_ps(high, codes), _mm256_castsi256_ps(_mm256_slli_epi32(codes, 28)));
  }
};
// slope * (code + offset) + intercept
struct Line {
  Vec slope, offset, intercept;
  Line(Vec s, float o, Vec i) : slope(s), offset(broadcast(o)), intercept(i) {}
  Vec of(Int codes) const { return add(mul(slope, add(to_float(_mm256_and_si256(codes, _mm256_set1_epi32(15))), offset)), intercept); }
};

#include "core/quant/dot_rows.inl"

}  // namespace

const DotKernels kDotKernels = {dot<Codes4Row>, dot<Codes8Row>, LORIKEET_BY_TYPE(dot, nullptr)};

}  // namespace lorikeet::avx2_level
