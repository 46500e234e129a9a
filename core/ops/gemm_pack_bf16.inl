// Packing for units that multiply pairs of bf16, with AVX-512: included after Step (32 bits) and depth_of(k), the steps a
// packed operand gets for k numbers; those behind k are zero. No standard library here, see gemm_kernels.h.

#include "core/ops/transpose16_avx512.inl"

/// Two neighbours as one step; rounding by the instruction the wide code uses, so that both give the same bits.
inline Step pair_of(float first, float second) {
  return _mm_cvtsi128_si32((__m128i)_mm_cvtneps_pbh(_mm_set_ps(0.0f, 0.0f, second, first)));
}
/// 32 neighbours along k as 16 steps.
inline __m512i steps_of(const float* p, __m512 scale) {
  return (__m512i)_mm512_cvtne2ps_pbh(_mm512_mul_ps(_mm512_loadu_ps(p + 16), scale), _mm512_mul_ps(_mm512_loadu_ps(p), scale));
}
inline float element(const GemmOperand& o, int64_t row, int64_t k, int64_t depth) {
  return k < depth ? o.data[row * o.row_stride + k * o.k_stride] : 0.0f;
}
/// 16 steps whose elements lie k_stride apart: row p of `first` with row p of `second`.
inline __m512i interleaved(__m512 first, __m512 second) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(second, first));
}

// 16 rows by 16 steps whose rows lie side by side.
void pack_crosswise(const float* from, int64_t k_stride, __m512 scale, Step* out, int64_t depth) {
  __m512i r[16];
  for (int i = 0; i < 16; ++i) {
    const float* at = from + 2 * i * k_stride;
    r[i] = interleaved(_mm512_mul_ps(_mm512_loadu_ps(at), scale), _mm512_mul_ps(_mm512_loadu_ps(at + k_stride), scale));
  }
  transpose16(r);
  for (int i = 0; i < 16; ++i) _mm512_storeu_si512(out + i * depth, r[i]);
}

void pack_a(const GemmOperand& a, int64_t rows, int64_t k, float alpha, void* packed) {
  auto* out = static_cast<Step*>(packed);
  const int64_t depth = depth_of(k);
  const __m512 scale = _mm512_set1_ps(alpha);
  int64_t done = 0;  // steps of all rows in whole blocks of 16 that are packed already
  if (a.row_stride == 1 && rows >= 16)
    for (; done + 16 <= k / 2; done += 16)
      for (int64_t i = 0; i + 16 <= rows; i += 16) pack_crosswise(a.data + i + 2 * done * a.k_stride, a.k_stride, scale, out + i * depth + done, depth);
  for (int64_t i = 0; i < rows; ++i) {
    int64_t p = i < rows / 16 * 16 ? done : 0;
    if (a.k_stride == 1)
      for (; p + 16 <= k / 2; p += 16) _mm512_storeu_si512(out + i * depth + p, steps_of(a.data + i * a.row_stride + 2 * p, scale));
    for (; p < depth; ++p) out[i * depth + p] = pair_of(element(a, i, 2 * p, k) * alpha, element(a, i, 2 * p + 1, k) * alpha);
  }
}

inline __mmask16 first_lanes(int64_t n) { return static_cast<__mmask16>(n >= 16 ? 0xFFFF : n <= 0 ? 0 : (1u << n) - 1); }

// One panel of `columns` <= 16 columns that lie side by side: rows of k are interleaved in pairs.
void pack_side_by_side(const GemmOperand& b, int64_t columns, int64_t k, __m512 scale, Step* out) {
  const __mmask16 some = first_lanes(columns);
  for (int64_t p = 0; p < depth_of(k); ++p) {
    const float* at = b.data + 2 * p * b.k_stride;
    const __m512 first = _mm512_maskz_loadu_ps(2 * p < k ? some : 0, at), second = _mm512_maskz_loadu_ps(2 * p + 1 < k ? some : 0, at + b.k_stride);
    _mm512_storeu_si512(out + p * kPanelColumns, interleaved(_mm512_mul_ps(first, scale), _mm512_mul_ps(second, scale)));
  }
}
// One whose columns run along k: 16 by 16 pairs are turned at a time.
void pack_along_k(const GemmOperand& b, int64_t columns, int64_t k, __m512 scale, Step* out) {
  const int64_t depth = depth_of(k);
  for (int64_t p = 0; p < depth; p += 16) {
    const __mmask16 low = first_lanes(k - 2 * p), high = first_lanes(k - 2 * p - 16);
    __m512i r[16];
    for (int i = 0; i < 16; ++i) {
      const float* at = b.data + i * b.row_stride + 2 * p;
      r[i] = i < columns ? (__m512i)_mm512_cvtne2ps_pbh(_mm512_mul_ps(_mm512_maskz_loadu_ps(high, at + 16), scale), _mm512_mul_ps(_mm512_maskz_loadu_ps(low, at), scale)) : _mm512_setzero_si512();
    }
    transpose16(r);
    for (int i = 0; i < 16 && p + i < depth; ++i) _mm512_storeu_si512(out + (p + i) * kPanelColumns, r[i]);
  }
}

void pack_panel(const GemmOperand& b, int64_t columns, int64_t k, float alpha, Step* out) {
  const __m512 scale = _mm512_set1_ps(alpha);
  if (b.row_stride == 1) pack_side_by_side(b, columns, k, scale, out);
  else pack_along_k(b, columns, k, scale, out);
}

void pack_b(const GemmOperand& b, int64_t columns, int64_t k, float alpha, void* packed, int64_t out_stride) {
  auto* out = static_cast<Step*>(packed);
  for (int64_t n = 0; n < columns; n += kPanelColumns, out += out_stride * kPanelColumns) {
    const int64_t left = columns - n;
    pack_panel({b.data + n * b.row_stride, b.row_stride, b.k_stride}, left < kPanelColumns ? left : kPanelColumns, k, alpha, out);
  }
}

// The same from numbers that are bf16 already: bits are only moved.
void pack_side_by_side16(const Bf16Operand& b, int64_t columns, int64_t k, Step* out) {
  const __mmask16 some = first_lanes(columns);
  for (int64_t p = 0; p < depth_of(k); ++p) {
    const uint16_t* at = b.data + 2 * p * b.k_stride;
    const __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(2 * p < k ? some : 0, at));
    const __m512i high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(2 * p + 1 < k ? some : 0, at + b.k_stride));
    _mm512_storeu_si512(out + p * kPanelColumns, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
  }
}
void pack_along_k16(const Bf16Operand& b, int64_t columns, int64_t k, Step* out) {
  const int64_t depth = depth_of(k);
  for (int64_t p = 0; p < depth; p += 16) {
    const int64_t left = k - 2 * p;
    const __mmask32 some = left >= 32 ? 0xFFFFFFFFu : (1u << left) - 1;
    __m512i r[16];
    for (int i = 0; i < 16; ++i) r[i] = i < columns ? _mm512_maskz_loadu_epi16(some, b.data + i * b.row_stride + 2 * p) : _mm512_setzero_si512();
    transpose16(r);
    for (int i = 0; i < 16 && p + i < depth; ++i) _mm512_storeu_si512(out + (p + i) * kPanelColumns, r[i]);
  }
}

void pack_panel16(const Bf16Operand& b, int64_t columns, int64_t k, Step* out) {
  if (b.row_stride == 1) pack_side_by_side16(b, columns, k, out);
  else pack_along_k16(b, columns, k, out);
}

void pack_b16(const Bf16Operand& b, int64_t columns, int64_t k, void* packed, int64_t out_stride) {
  auto* out = static_cast<Step*>(packed);
  for (int64_t n = 0; n < columns; n += kPanelColumns, out += out_stride * kPanelColumns) {
    const int64_t left = columns - n;
    pack_panel16({b.data + n * b.row_stride, b.row_stride, b.k_stride}, left < kPanelColumns ? left : kPanelColumns, k, out);
  }
}
