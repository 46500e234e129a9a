// Decoders for AVX-512 (F, BW, DQ, VL). Compiled with those instruction sets: see decode_kernels.h for what may be
// included.
#include <immintrin.h>

#include "core/quant/decode_kernels.h"

namespace lorikeet::avx512_level {
namespace {

#include "core/quant/decode_x86.inl"

// The whole 16-entry table sits in one register; it is scaled once per block.
void decode_codes4(const CodeRun& r) {
  const __m512 table = _mm512_loadu_ps(r.table);
  for (int64_t b = 0; b < r.blocks; ++b) {
    const uint8_t* codes = r.codes + b * r.block / 2;
    float* out = r.out + b * r.block;
    const __m512 scaled = _mm512_mul_ps(table, _mm512_set1_ps(r.scales[b]));
    int64_t i = 0;
    for (; i + 32 <= r.block; i += 32) {
      __m128i first, second;
      split_nibbles(codes + i / 2, first, second);
      _mm512_storeu_ps(out + i, _mm512_permutexvar_ps(_mm512_cvtepu8_epi32(first), scaled));
      _mm512_storeu_ps(out + i + 16, _mm512_permutexvar_ps(_mm512_cvtepu8_epi32(second), scaled));
    }
    for (; i < r.block; ++i) out[i] = r.table[code_at4(codes, i)] * r.scales[b];
  }
}

}  // namespace

const DecodeKernels kDecodeKernels = {decode_small_codes<2, code_at2>, decode_small_codes<3, code_at3>, decode_codes4,
                                      decode_bytes8, LORIKEET_STORED_DECODERS};

}  // namespace lorikeet::avx512_level
