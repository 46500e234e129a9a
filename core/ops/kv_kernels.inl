// Included by kv_kernels_<level>.cpp, which defines LORIKEET_LEVEL. A row is widened to f32 once, in pieces that stay in
// the L1 cache, and then met by every query head that shares it.
#include "core/ops/kv_kernels.h"

namespace lorikeet::LORIKEET_LEVEL {
namespace {

constexpr int64_t kPiece = 128;

struct F32 {
  using Element = float;
  static float value(float x) { return x; }
  static float scale(const KvRun&, int64_t) { return 1.0f; }
};
struct Bf16 {
  using Element = uint16_t;
  static float value(uint16_t x) {
    const uint32_t bits = static_cast<uint32_t>(x) << 16;
    float v;
    __builtin_memcpy(&v, &bits, 4);
    return v;
  }
  static float scale(const KvRun&, int64_t) { return 1.0f; }
};
struct Int8 {
  using Element = int8_t;
  static float value(int8_t x) { return static_cast<float>(x); }
  static float scale(const KvRun& r, int64_t j) { return r.scales[j * r.scale_stride]; }
};

template <class S>
inline void widen(const KvRun& r, int64_t j, int64_t at, int64_t n, float* out) {
  const auto* row = static_cast<const typename S::Element*>(r.rows) + j * r.row_stride + at;
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) out[i] = S::value(row[i]);
}

// kWidth: the width where it is one of the usual ones, so that the loops have no ends to care for; else 0.
template <class S, int64_t kWidth>
void scores_of(const KvRun& r, const float* q, float* p) {
  float row[kPiece];
  for (int64_t at = 0; at < r.width; at += kPiece) {
    const int64_t n = kWidth ? kWidth : r.width - at < kPiece ? r.width - at : kPiece;
    for (int64_t j = 0; j < r.count; ++j) {
      widen<S>(r, j, at, n, row);
      const float scale = S::scale(r, j);
      for (int64_t h = 0; h < r.heads; ++h) {
        const float* x = q + h * r.width + at;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < n; ++i) sum += x[i] * row[i];
        p[h * r.count + j] = at == 0 ? sum * scale : p[h * r.count + j] + sum * scale;
      }
    }
  }
}

template <class S, int64_t kWidth>
void mix_of(const KvRun& r, const float* p, float* o) {
  float row[kPiece];
  for (int64_t i = 0; i < r.heads * r.width; ++i) o[i] = 0.0f;
  for (int64_t at = 0; at < r.width; at += kPiece) {
    const int64_t n = kWidth ? kWidth : r.width - at < kPiece ? r.width - at : kPiece;
    for (int64_t j = 0; j < r.count; ++j) {
      widen<S>(r, j, at, n, row);
      const float scale = S::scale(r, j);
      for (int64_t h = 0; h < r.heads; ++h) {
        float* y = o + h * r.width + at;
        const float s = p[h * r.count + j] * scale;
#pragma omp simd
        for (int64_t i = 0; i < n; ++i) y[i] += s * row[i];
      }
    }
  }
}

template <class S>
void scores(const KvRun& r, const float* q, float* p) {
  if (r.width == 64) return scores_of<S, 64>(r, q, p);
  if (r.width == kPiece) return scores_of<S, kPiece>(r, q, p);
  scores_of<S, 0>(r, q, p);
}

template <class S>
void mix(const KvRun& r, const float* p, float* o) {
  if (r.width == 64) return mix_of<S, 64>(r, p, o);
  if (r.width == kPiece) return mix_of<S, kPiece>(r, p, o);
  mix_of<S, 0>(r, p, o);
}

}  // namespace

const KvKernelTable kKvKernels = {{&scores<F32>, &mix<F32>}, {&scores<Bf16>, &mix<Bf16>}, {&scores<Int8>, &mix<Int8>}};

}  // namespace lorikeet::LORIKEET_LEVEL
