// Pieces of the AVX2 and AVX-512 decoders that are the same 256-bit code, included by both inside their own unnamed
// namespace after <immintrin.h>.

inline float half_at(const uint8_t* p) {
  return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(p[0] | (p[1] << 8))));
}

#include "core/quant/decode_blocks.inl"

void decode_f16(const uint8_t* p, int64_t count, float* out) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 2 * i))));
  for (; i < count; ++i) out[i] = half_at(p + 2 * i);
}

// Eight codes of kBits bits from one word: shift each lane, mask, look the code up in a table of at most 8 entries.
template <int kBits, int (*code_at)(const uint8_t*, int64_t)>
void decode_small_codes(const CodeRun& r) {
  static_assert(kBits == 2 || kBits == 3);
  const __m256i shifts = _mm256_setr_epi32(0, kBits, 2 * kBits, 3 * kBits, 4 * kBits, 5 * kBits, 6 * kBits, 7 * kBits);
  const __m256i mask = _mm256_set1_epi32((1 << kBits) - 1);
  const __m256 table = kBits == 3 ? _mm256_loadu_ps(r.table) : _mm256_broadcast_ps(reinterpret_cast<const __m128*>(r.table));
  for (int64_t b = 0; b < r.blocks; ++b) {
    const uint8_t* codes = r.codes + b * r.block * kBits / 8;
    float* out = r.out + b * r.block;
    const __m256 scaled = _mm256_mul_ps(table, _mm256_set1_ps(r.scales[b]));
    int64_t i = 0;
    for (; i + 8 <= r.block; i += 8) {
      const uint8_t* g = codes + i / 8 * kBits;
      const int word = kBits == 3 ? g[0] | (g[1] << 8) | (g[2] << 16) : g[0] | (g[1] << 8);
      const __m256i code = _mm256_and_si256(_mm256_srlv_epi32(_mm256_set1_epi32(word), shifts), mask);
      _mm256_storeu_ps(out + i, _mm256_permutevar8x32_ps(scaled, code));
    }
    for (; i < r.block; ++i) out[i] = r.table[code_at(codes, i)] * r.scales[b];
  }
}

// 16 bytes of nibbles as 32 codes in element order (the high nibble comes first).
inline void split_nibbles(const uint8_t* p, __m128i& first, __m128i& second) {
  const __m128i mask = _mm_set1_epi8(15);
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m128i high = _mm_and_si128(_mm_srli_epi16(bytes, 4), mask), low = _mm_and_si128(bytes, mask);
  first = _mm_unpacklo_epi8(high, low);
  second = _mm_unpackhi_epi8(high, low);
}
