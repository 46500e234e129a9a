// Dot kernels for AVX-512 (F, BW, DQ, VL). Compiled with those instruction sets: see decode_kernels.h for what may be
// included.
#include <immintrin.h>

#include "core/quant/dot_kernels.h"

namespace lorikeet::avx512_level {
namespace {

constexpr int kMostTokens = 4;  // at a time: with four rows, as many sums as registers hold

#include "core/quant/vector_avx512.inl"

#include "core/quant/block_formats.inl"
#include "core/quant/weight_rows.inl"

#include "core/quant/dot_rows.inl"

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
inline void scales_of_q41(const uint8_t* p, int64_t blocks, float* scales, float* minima) {
  int64_t b = 0;
  for (; b + 16 <= blocks; b += 16) scales_of_16(p + b * 20, scales + b, minima + b);
  if (b < blocks && b > 0) return scales_of_16(p + (blocks - 16) * 20, scales + blocks - 16, minima + blocks - 16);
  for (; b < blocks; ++b) scales[b] = half_at(p + b * 20), minima[b] = half_at(p + b * 20 + 2);
}

// Q4_1 with scales and minima taken out of the blocks beforehand: broadcasting them from memory costs no shuffle
// (measured: 20 G weights/s for one token instead of 16; with AVX2 it costs more than it saves).
struct PreparedQ41Row {
  struct Block {
    const uint8_t* p;
    float scale, minimum;
    void decode(int, Vec* w) const { Line(broadcast(scale), broadcast(minimum)).decode(low_then_high(p + 4), w); }
  };
  static constexpr int kSegments = 1;
  const uint8_t* codes;
  const float *scales, *minima;
  PreparedQ41Row(const DotRun& r, int64_t row)
      : codes(r.codes + row * r.row_bytes), scales(r.scales + row * (r.columns / kDotSegment)), minima(r.table + row * (r.columns / kDotSegment)) {}
  void open(Block& block, int64_t b) const { block = {codes + b * Q41::kBytes, scales[b], minima[b]}; }
};

void dot_q41(const DotRun& r) {
  constexpr int64_t kMost = 1024;  // blocks prepared at a time, on the stack
  const int64_t segments = r.columns / kDotSegment;
  if (segments * 4 > kMost) return dot_rows<StoredRow<Q41>>(r);
  alignas(64) float scales[kMost], minima[kMost];
  for (int64_t row = 0; row < r.rows; row += 4) {
    DotRun four = r;
    four.codes += row * r.row_bytes;
    four.y += row;
    four.rows = r.rows - row < 4 ? r.rows - row : 4;
    scales_of_q41(four.codes, four.rows * segments, scales, minima);
    four.scales = scales;
    four.table = minima;
    dot_rows<PreparedQ41Row>(four);
  }
}

constexpr DotKernels list_with_prepared_rows() {
  DotKernels k = dot_list();
  k.stored[3] = dot_q41;
  return k;
}

}  // namespace

constinit const DotKernels kDotKernels = list_with_prepared_rows();  // no code of this file runs before main

}  // namespace lorikeet::avx512_level
