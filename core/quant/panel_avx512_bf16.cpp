// Panel kernels for AVX-512 with bf16. Compiled with those instruction sets: see decode_kernels.h for what may be
// included.
#include <immintrin.h>

#include "core/quant/dot_kernels.h"
#include "core/quant/panel_kernels.h"

namespace lorikeet::avx512_bf16_unit {
namespace {

#include "core/ops/transpose16_avx512.inl"
#include "core/quant/vector_avx512.inl"

#include "core/quant/block_formats.inl"
#include "core/quant/weight_rows.inl"

constexpr int64_t kColumns = 16;  // of a panel; kDotSegment elements are two panels wide, or 16 steps deep

// 32 elements of a row in order, in bf16.
template <class Block>
inline Int rounded(const Block& block, int k) {
  Vec w[kParts];
  block.decode(k, w);
  return (Int)_mm512_cvtne2ps_pbh(w[1], w[0]);
}
inline Int rounded(const Bf16Numbers& block, int) { return _mm512_loadu_si512(block.p); }
// The 16 values are rounded once, then looked up 32 at a time: high nibbles are the even elements.
inline Int rounded(const CodedRow<NibbleTable>::Block& block, int) {
  const Vec scaled = mul(load(block.table), broadcast(block.scale));
  const Int values = _mm512_broadcast_i64x4((__m256i)_mm512_cvtneps_pbh(scaled));
  const Int both = bytes(block.p);
  return _mm512_permutexvar_epi16(_mm512_or_si512(_mm512_srli_epi32(both, 4), _mm512_slli_epi32(both, 16)), values);
}

inline DotRun as_dot(const PanelRun& r) { return {r.codes, r.row_bytes, r.scales, r.table, r.rows, r.columns, nullptr, 0, 0, nullptr, 0, r.scale_shift}; }

// 16 rows by 32 columns at a time: 16 steps of a panel.
template <class Row>
void pack_rows(const PanelRun& r) {
  const DotRun run = as_dot(r);
  for (int64_t n = 0; n < r.rows; n += kColumns) {
    const int64_t count = r.rows - n < kColumns ? r.rows - n : kColumns;
    uint32_t* out = r.out + n * r.stride;
    for (int64_t b = 0; b < r.columns / (kDotSegment * Row::kSegments); ++b) {
      typename Row::Block blocks[kColumns];
      for (int64_t i = 0; i < count; ++i) Row(run, n + i).open(blocks[i], b);
      for (int k = 0; k < Row::kSegments; ++k, out += kColumns * kColumns) {
        Int w[kColumns];
        for (int64_t i = 0; i < kColumns; ++i) w[i] = i < count ? rounded(blocks[i], k) : _mm512_setzero_si512();
        transpose16(w);
        for (int64_t i = 0; i < kColumns; ++i) _mm512_storeu_si512(out + i * kColumns, w[i]);
      }
    }
    for (int64_t p = r.columns / 2; p < r.depth; ++p, out += kColumns) _mm512_storeu_si512(out, _mm512_setzero_si512());
  }
}

// Two rows by a block at a time: a step of two panels for each of its segments.
template <class Row>
void pack_columns(const PanelRun& r) {
  const DotRun run = as_dot(r);
  const Int low = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
  const Int high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
  for (int64_t b = 0; b < r.columns / (kDotSegment * Row::kSegments); ++b)
    for (int64_t p = 0; p < r.depth; ++p) {
      typename Row::Block blocks[2];
      const bool there[2] = {2 * p < r.rows, 2 * p + 1 < r.rows};
      for (int i = 0; i < 2; ++i)
        if (there[i]) Row(run, 2 * p + i).open(blocks[i], b);
      uint32_t* out = r.out + b * Row::kSegments * 2 * kColumns * r.stride + p * kColumns;
      for (int k = 0; k < Row::kSegments; ++k, out += 2 * kColumns * r.stride) {
        const Int first = there[0] ? rounded(blocks[0], k) : _mm512_setzero_si512(), second = there[1] ? rounded(blocks[1], k) : _mm512_setzero_si512();
        _mm512_storeu_si512(out, _mm512_permutex2var_epi16(first, low, second));
        _mm512_storeu_si512(out + kColumns * r.stride, _mm512_permutex2var_epi16(first, high, second));
      }
    }
}

template <class Row>
constexpr PanelKernel kKernel = {pack_rows<Row>, pack_columns<Row>};

constexpr PanelKernels panel_list() {
  PanelKernels k{kKernel<CodedRow<SmallTable<2>>>, kKernel<CodedRow<SmallTable<3>>>, kKernel<CodedRow<NibbleTable>>, kKernel<CodedRow<SignedBytes>>, {}};
  k.stored[0] = kKernel<StoredRow<F32Numbers>>;
  k.stored[1] = kKernel<StoredRow<F16Numbers>>;
  k.stored[30] = kKernel<StoredRow<Bf16Numbers>>;
#define LORIKEET_PANEL_BLOCKS(id, Block) k.stored[id] = kKernel<StoredRow<Block>>;
  LORIKEET_BLOCK_FORMATS(LORIKEET_PANEL_BLOCKS)
#undef LORIKEET_PANEL_BLOCKS
  return k;
}

}  // namespace

constinit const PanelKernels kPanelKernels = panel_list();  // no code of this file runs before main

}  // namespace lorikeet::avx512_bf16_unit
