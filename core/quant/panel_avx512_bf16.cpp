// Panel kernels for AVX-512 with bf16. Compiled with those instruction sets: see decode_kernels.h for what may be
// included.
#include <immintrin.h>

#include "core/quant/dot_kernels.h"
#include "core/quant/panel_kernels.h"

namespace lorikeet::avx512_bf16_unit {
namespace {

#include "core/ops/transpose16_avx512.inl"
#include "core/quant/dot_vectors_avx512.inl"
#include "core/quant/dot_rows.inl"

constexpr int64_t kColumns = 16;  // of a panel; kDotSegment elements are two panels wide, or 16 steps deep

// 32 elements of a row in order, in bf16.
template <class Row>
inline Int rounded(const Row& row, int64_t segment) {
  Vec w[kParts];
  row.decode(segment, w);
  return (Int)_mm512_cvtne2ps_pbh(w[1], w[0]);
}
inline Int rounded(const Bf16Row& row, int64_t segment) { return _mm512_loadu_si512(row.codes + segment * 64); }
// The 16 values are rounded once, then looked up 32 at a time: high nibbles are the even elements.
inline Int rounded(const Codes4Row& row, int64_t segment) {
  const Vec scaled = mul(load(row.table), broadcast(row.scales[segment]));
  const Int values = _mm512_broadcast_i64x4((__m256i)_mm512_cvtneps_pbh(scaled));
  const Int both = bytes(row.codes + segment * 16);
  return _mm512_permutexvar_epi16(_mm512_or_si512(_mm512_srli_epi32(both, 4), _mm512_slli_epi32(both, 16)), values);
}

inline DotRun as_dot(const PanelRun& r) { return {r.codes, r.row_bytes, r.scales, r.table, r.rows, r.columns, nullptr, 0, 0, nullptr, 0}; }

// 16 rows by 32 columns at a time: 16 steps of a panel.
template <class Row>
void pack_rows(const PanelRun& r) {
  const DotRun run = as_dot(r);
  for (int64_t n = 0; n < r.rows; n += kColumns) {
    const int64_t count = r.rows - n < kColumns ? r.rows - n : kColumns;
    uint32_t* out = r.out + n * r.stride;
    for (int64_t s = 0; s < r.columns / kDotSegment; ++s) {
      Int w[kColumns];
      for (int64_t i = 0; i < kColumns; ++i) w[i] = i < count ? rounded(Row(run, n + i), s) : _mm512_setzero_si512();
      transpose16(w);
      for (int64_t i = 0; i < kColumns; ++i) _mm512_storeu_si512(out + (s * kColumns + i) * kColumns, w[i]);
    }
    for (int64_t p = r.columns / 2; p < r.depth; ++p) _mm512_storeu_si512(out + p * kColumns, _mm512_setzero_si512());
  }
}

// Two rows by 32 columns at a time: a step of two panels.
template <class Row>
void pack_columns(const PanelRun& r) {
  const DotRun run = as_dot(r);
  const Int low = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
  const Int high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
  for (int64_t s = 0; s < r.columns / kDotSegment; ++s) {
    uint32_t *left = r.out + 2 * s * kColumns * r.stride, *right = left + kColumns * r.stride;
    for (int64_t p = 0; p < r.depth; ++p) {
      const Int first = 2 * p < r.rows ? rounded(Row(run, 2 * p), s) : _mm512_setzero_si512();
      const Int second = 2 * p + 1 < r.rows ? rounded(Row(run, 2 * p + 1), s) : _mm512_setzero_si512();
      _mm512_storeu_si512(left + p * kColumns, _mm512_permutex2var_epi16(first, low, second));
      _mm512_storeu_si512(right + p * kColumns, _mm512_permutex2var_epi16(first, high, second));
    }
  }
}

template <class Row>
constexpr PanelKernel kKernel = {pack_rows<Row>, pack_columns<Row>};
constexpr PanelKernel kNone = {nullptr, nullptr};

}  // namespace

const PanelKernels kPanelKernels = {kKernel<Codes4Row>, kKernel<Codes8Row>, LORIKEET_BY_TYPE(kKernel, kNone)};

}  // namespace lorikeet::avx512_bf16_unit
