// Vectors of AVX-512 (F, BW, DQ, VL) under the names dot_rows.inl uses. Included after <immintrin.h> inside the level's own
// unnamed namespace.

using Vec = __m512;
using Int = __m512i;
constexpr int kLanes = 16, kParts = 2, kMostTokens = 4;

inline float half_at(const uint8_t* p) { return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(p[0] | (p[1] << 8)))); }
inline Vec zero() { return _mm512_setzero_ps(); }
inline Vec load(const float* p) { return _mm512_loadu_ps(p); }
inline Vec broadcast(float v) { return _mm512_set1_ps(v); }
inline Vec first_lane(__m128 v) { return _mm512_broadcastss_ps(v); }
inline Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
inline Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
inline Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
inline float total(Vec v) { return _mm512_reduce_add_ps(v); }
inline Int bytes(const uint8_t* p) { return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
inline Int signed_bytes(const uint8_t* p) { return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
inline Int high_nibble(Int q) { return _mm512_srli_epi32(q, 4); }
inline Vec to_float(Int v) { return _mm512_cvtepi32_ps(v); }
inline Vec halves(const uint8_t* p) { return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
inline Vec bfloats(const uint8_t* p) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))), 16));
}
inline Int six_bits(Int low, int low_shift, Int high, int high_shift) {
  const Int four = _mm512_and_si512(_mm512_srl_epi32(low, _mm_cvtsi32_si128(low_shift)), _mm512_set1_epi32(15));
  const Int two = _mm512_and_si512(_mm512_srl_epi32(high, _mm_cvtsi32_si128(high_shift)), _mm512_set1_epi32(3));
  return _mm512_sub_epi32(_mm512_or_si512(four, _mm512_slli_epi32(two, 4)), _mm512_set1_epi32(32));
}
inline void load_even_odd(const float* x, Vec& even, Vec& odd) {
  const Int evens = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const Vec a = load(x), b = load(x + kLanes);
  even = _mm512_permutex2var_ps(a, evens, b);
  odd = _mm512_permutex2var_ps(a, _mm512_add_epi32(evens, _mm512_set1_epi32(1)), b);
}

// Scales and minima of 16 blocks of 20 bytes: every fifth word of five registers.
inline void scales_of_16(const uint8_t* p, float* scales, float* minima) {
  const auto words = [p](int i) { return _mm512_loadu_si512(p + 64 * i); };
  const Int first = _mm512_setr_epi32(0, 5, 10, 15, 20, 25, 30, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  const Int rest = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 3, 8, 13, 2, 7, 12, 1, 6, 11);
  Int both = _mm512_permutex2var_epi32(words(0), first, words(1));
  both = _mm512_mask_permutexvar_epi32(both, 0x0380, rest, words(2));
  both = _mm512_mask_permutexvar_epi32(both, 0x1C00, rest, words(3));
  both = _mm512_mask_permutexvar_epi32(both, 0xE000, rest, words(4));
  _mm512_storeu_ps(scales, _mm512_cvtph_ps(_mm512_cvtepi32_epi16(both)));
  _mm512_storeu_ps(minima, _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(both, 16))));
}
void scales_of_q41(const uint8_t* p, int64_t blocks, float* scales, float* minima) {
  int64_t b = 0;
  for (; b + 16 <= blocks; b += 16) scales_of_16(p + b * 20, scales + b, minima + b);
  if (b < blocks && b > 0) return scales_of_16(p + (blocks - 16) * 20, scales + blocks - 16, minima + blocks - 16);
  for (; b < blocks; ++b) scales[b] = half_at(p + b * 20), minima[b] = half_at(p + b * 20 + 2);
}

// 4-bit code -> value by one lookup: the 16 values fill a register, and the lookup reads the low 4 bits only.
struct Table {
  Vec values;
  Table(const float* table, Vec scale) : values(mul(load(table), scale)) {}
  Vec of(Int codes) const { return _mm512_permutexvar_ps(codes, values); }
};
// slope * (code + offset) + intercept
struct Line {
  Vec values;
  Line(Vec slope, float offset, Vec intercept)
      : values(add(mul(slope, add(_mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), broadcast(offset))), intercept)) {}
  Vec of(Int codes) const { return _mm512_permutexvar_ps(codes, values); }
};
