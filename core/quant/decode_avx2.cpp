// Decoders for AVX2 + FMA + F16C. Compiled with those instruction sets: see decode_kernels.h for what may be included.
#include <immintrin.h>

#include "core/quant/decode_kernels.h"

namespace lorikeet::avx2_level {
namespace {

#include "core/quant/decode_x86.inl"

// A 16-entry table lookup as two 8-entry ones, chosen by bit 3 of the code. The table is scaled once per block.
void decode_codes4(const CodeRun& r) {
  const __m256 low_table = _mm256_loadu_ps(r.table), high_table = _mm256_loadu_ps(r.table + 8);
  for (int64_t b = 0; b < r.blocks; ++b) {
    const uint8_t* codes = r.codes + b * r.block / 2;
    float* out = r.out + b * r.block;
    const __m256 scale = _mm256_set1_ps(r.scales[b]);
    const __m256 low = _mm256_mul_ps(low_table, scale), high = _mm256_mul_ps(high_table, scale);
    const auto store8 = [&](__m128i eight_codes, float* to) {
      const __m256i code = _mm256_cvtepu8_epi32(eight_codes);
      const __m256 upper_half = _mm256_castsi256_ps(_mm256_slli_epi32(code, 28));
      _mm256_storeu_ps(to, _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, code), _mm256_permutevar8x32_ps(high, code),
                                            upper_half));
    };
    int64_t i = 0;
    for (; i + 32 <= r.block; i += 32) {
      __m128i first, second;
      split_nibbles(codes + i / 2, first, second);
      store8(first, out + i);
      store8(_mm_srli_si128(first, 8), out + i + 8);
      store8(second, out + i + 16);
      store8(_mm_srli_si128(second, 8), out + i + 24);
    }
    for (; i < r.block; ++i) out[i] = r.table[code_at4(codes, i)] * r.scales[b];
  }
}

}  // namespace

const DecodeKernels kDecodeKernels = {decode_small_codes<2, code_at2>, decode_small_codes<3, code_at3>, decode_codes4,
                                      decode_bytes8, LORIKEET_STORED_DECODERS};

}  // namespace lorikeet::avx2_level
