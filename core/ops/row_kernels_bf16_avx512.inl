// The kernels on rows of bf16 by the instructions that convert to it: included by row_kernels.inl. Results are rounded to
// bf16 (2^-9) right away, so exp is a polynomial of degree 5 (error below 3e-6) and a quotient one Newton step.

#include <immintrin.h>

#include "core/ops/transpose16_avx512.inl"

inline __m512 widened(__m256i b) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(b), 16)); }

/// 16 numbers of a row at a time: all of them, or the first ones where the row ends.
struct Whole {
  __m512 floats(const float* p) const { return _mm512_loadu_ps(p); }
  __m512 halves(const uint16_t* p) const { return widened(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
  void store(float* p, __m512 v) const { _mm512_storeu_ps(p, v); }
  void store(uint16_t* p, __m256i v) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
  void store(uint16_t* p, __m512 v) const { store(p, (__m256i)_mm512_cvtneps_pbh(v)); }
  __m512 add(__m512 sum, __m512 v) const { return _mm512_add_ps(sum, v); }
};
struct First {
  __mmask16 some;
  __m512 floats(const float* p) const { return _mm512_maskz_loadu_ps(some, p); }
  __m512 halves(const uint16_t* p) const { return widened(_mm256_maskz_loadu_epi16(some, p)); }
  void store(float* p, __m512 v) const { _mm512_mask_storeu_ps(p, some, v); }
  void store(uint16_t* p, __m256i v) const { _mm256_mask_storeu_epi16(p, some, v); }
  void store(uint16_t* p, __m512 v) const { store(p, (__m256i)_mm512_cvtneps_pbh(v)); }
  __m512 add(__m512 sum, __m512 v) const { return _mm512_mask_add_ps(sum, some, sum, v); }
};
/// part(i, Whole or First) for every 16 numbers.
template <class F>
inline void by_sixteen(int64_t n, const F& part) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) part(i, Whole{});
  if (i < n) part(i, First{static_cast<__mmask16>((1u << (n - i)) - 1)});
}

/// 2^y. Below -150 it is 0; NaN stays NaN.
inline __m512 exp2_of(__m512 y) {
  y = _mm512_max_ps(_mm512_set1_ps(-150.0f), y);
  const __m512 k = _mm512_roundscale_ps(y, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC), f = _mm512_sub_ps(y, k);
  __m512 p = _mm512_set1_ps(1.33335581e-3f);  // (ln 2)^n / n!
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.61812911e-3f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.55041087e-2f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.40226507e-1f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.93147181e-1f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, k);
}
constexpr float kLog2E = 1.44269504088896341f;

/// 1 / (1 + e^-x)
inline __m512 sigmoid_of(__m512 x) {
  const __m512 y = _mm512_min_ps(_mm512_set1_ps(125.0f), _mm512_mul_ps(x, _mm512_set1_ps(-kLog2E)));
  const __m512 d = _mm512_add_ps(exp2_of(y), _mm512_set1_ps(1.0f)), r = _mm512_rcp14_ps(d);
  return _mm512_mul_ps(r, _mm512_fnmadd_ps(d, r, _mm512_set1_ps(2.0f)));
}

void to_bf16(const float* x, uint16_t* y, int64_t n) {
  by_sixteen(n, [&](int64_t i, auto part) { part.store(y + i, part.floats(x + i)); });
}

void from_bf16(const uint16_t* x, float* y, int64_t n) {
  by_sixteen(n, [&](int64_t i, auto part) { part.store(y + i, part.halves(x + i)); });
}

void scale_mul_bf16(const float* x, const float* w, float s, uint16_t* y, int64_t n) {
  const __m512 scale = _mm512_set1_ps(s);
  by_sixteen(n, [&](int64_t i, auto part) { part.store(y + i, _mm512_mul_ps(_mm512_mul_ps(part.floats(x + i), scale), part.floats(w + i))); });
}

// The gates of row_kernels.inl on vectors.
inline __m512 inner_of(Silu, __m512 x) { return x; }
inline __m512 slope_of(Silu, __m512 x, __m512 rest) { return _mm512_mul_ps(x, rest); }
inline __m512 clamped(__m512 x) { return _mm512_max_ps(_mm512_set1_ps(-GeluTanh::kMost), _mm512_min_ps(_mm512_set1_ps(GeluTanh::kMost), x)); }
inline __m512 inner_of(GeluTanh, __m512 x) {
  const __m512 c = clamped(x);
  return _mm512_mul_ps(c, _mm512_fmadd_ps(_mm512_mul_ps(c, c), _mm512_set1_ps(GeluTanh::kThird), _mm512_set1_ps(GeluTanh::kFirst)));
}
inline __m512 slope_of(GeluTanh, __m512 x, __m512 rest) {
  const __m512 c = clamped(x);
  return _mm512_mul_ps(_mm512_mul_ps(x, rest), _mm512_fmadd_ps(_mm512_mul_ps(c, c), _mm512_set1_ps(3.0f * GeluTanh::kThird), _mm512_set1_ps(GeluTanh::kFirst)));
}

template <class Gate>
void gate_mul_bf16(const uint16_t* g, const uint16_t* u, uint16_t* y, int64_t n) {
  by_sixteen(n, [&](int64_t i, auto part) {
    const __m512 a = part.halves(g + i);
    part.store(y + i, _mm512_mul_ps(_mm512_mul_ps(a, sigmoid_of(inner_of(Gate(), a))), part.halves(u + i)));
  });
}

template <class Gate>
void gate_mul_backward_bf16(const uint16_t* dy, const uint16_t* g, const uint16_t* u, uint16_t* dg, uint16_t* du, int64_t n) {
  const __m512 one = _mm512_set1_ps(1.0f);
  by_sixteen(n, [&](int64_t i, auto part) {
    const __m512 a = part.halves(g + i), b = part.halves(u + i), s = sigmoid_of(inner_of(Gate(), a)), ds = _mm512_mul_ps(part.halves(dy + i), s);
    part.store(dg + i, _mm512_mul_ps(_mm512_mul_ps(ds, b), _mm512_add_ps(slope_of(Gate(), a, _mm512_sub_ps(one, s)), one)));
    part.store(du + i, _mm512_mul_ps(ds, a));
  });
}

ExpSums exp_sum_bf16(const float* x, float scale, float offset, uint16_t* p, int64_t n) {
  const __m512 factor = _mm512_set1_ps(scale * kLog2E), start = _mm512_set1_ps(offset * kLog2E);
  __m512 sum = _mm512_setzero_ps(), rounded = sum;
  by_sixteen(n, [&](int64_t i, auto part) {
    const __m512 e = exp2_of(_mm512_fmsub_ps(part.floats(x + i), factor, start));
    const __m256i half = (__m256i)_mm512_cvtneps_pbh(e);
    part.store(p + i, half);
    sum = part.add(sum, e);
    rounded = part.add(rounded, widened(half));
  });
  return {_mm512_reduce_add_ps(sum), _mm512_reduce_add_ps(rounded)};
}

float dot_bf16(const uint16_t* x, const uint16_t* y, int64_t n) {
  __m512 sum = _mm512_setzero_ps();
  by_sixteen(n, [&](int64_t i, auto part) { sum = part.add(sum, _mm512_mul_ps(part.halves(x + i), part.halves(y + i))); });
  return _mm512_reduce_add_ps(sum);
}

void score_gradient(const float* x, const float* dp, float scale, const float* lse, const float* delta, int64_t step, uint16_t* p, uint16_t* ds, int64_t n) {
  const __m512 factor = _mm512_set1_ps(scale * kLog2E), log2e = _mm512_set1_ps(kLog2E);
  const __m512 one_lse = _mm512_set1_ps(*lse), one_delta = _mm512_set1_ps(*delta);
  by_sixteen(n, [&](int64_t i, auto part) {
    const __m512 l = _mm512_mul_ps(step ? part.floats(lse + i) : one_lse, log2e), d = step ? part.floats(delta + i) : one_delta;
    const __m512 e = exp2_of(_mm512_fmsub_ps(part.floats(x + i), factor, l));
    part.store(p + i, e);
    part.store(ds + i, _mm512_mul_ps(e, _mm512_sub_ps(part.floats(dp + i), d)));
  });
}

void turn(const float* x, int64_t x_stride, int64_t rows, int64_t columns, float s, float* y, int64_t y_stride) {
  const __m512 scale = _mm512_set1_ps(s);
  for (int64_t r = 0; r < rows; r += 16)
    for (int64_t c = 0; c < columns; c += 16) {
      const int64_t some_rows = rows - r < 16 ? rows - r : 16, some_columns = columns - c < 16 ? columns - c : 16;
      const auto from = static_cast<__mmask16>((1u << some_columns) - 1), to = static_cast<__mmask16>((1u << some_rows) - 1);
      __m512i tile[16];
      for (int i = 0; i < 16; ++i) tile[i] = i < some_rows ? _mm512_castps_si512(_mm512_mul_ps(_mm512_maskz_loadu_ps(from, x + (r + i) * x_stride + c), scale)) : _mm512_setzero_si512();
      transpose16(tile);
      for (int i = 0; i < 16; ++i)
        if (i < some_columns) _mm512_mask_storeu_ps(y + (c + i) * y_stride + r, to, _mm512_castsi512_ps(tile[i]));
    }
}
