// gemm for AVX2 with FMA: 6 x 16 sums in 12 of the 16 registers. Compiled with that level's flags (CMakeLists.txt).
#include <immintrin.h>

#include "core/ops/gemm_kernels.h"

namespace lorikeet::avx2 {
namespace {

using Vec = __m256;
using StepVec = __m256;
using Step = float;
constexpr int kLanes = 8, kTileRows = 6;

inline Vec zero() { return _mm256_setzero_ps(); }
inline Vec load(const float* p) { return _mm256_loadu_ps(p); }
inline void store(float* p, Vec v) { _mm256_storeu_ps(p, v); }
inline Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
inline StepVec load_steps(const Step* p) { return _mm256_loadu_ps(p); }
inline StepVec broadcast(Step s) { return _mm256_set1_ps(s); }
inline Vec multiply_add(Vec sum, StepVec a, StepVec b) { return _mm256_fmadd_ps(a, b, sum); }

// 8 x 8 by unpacking in pairs, then fours, then halves.
void transpose8(const float* from, int64_t stride, float* out, int64_t out_stride) {
  __m256 r[8], t[8];
  for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps(from + i * stride);
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 8; i += 4)
    for (int j = 0; j < 2; ++j) {
      r[i + 2 * j] = _mm256_shuffle_ps(t[i + j], t[i + j + 2], 0x44);
      r[i + 2 * j + 1] = _mm256_shuffle_ps(t[i + j], t[i + j + 2], 0xEE);
    }
  for (int i = 0; i < 4; ++i) {
    _mm256_storeu_ps(out + i * out_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    _mm256_storeu_ps(out + (i + 4) * out_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
}

void transpose_block(const float* from, int64_t stride, float* out, int64_t out_stride) {
  transpose8(from, stride, out, out_stride);
  transpose8(from + 8 * stride, stride, out + 8, out_stride);
}

#include "core/ops/gemm_pack_f32.inl"
#include "core/ops/gemm_tile.inl"

}  // namespace

const GemmKernels kGemmKernels = {kTileRows, 1, 1, 1, 192, pack_a, pack_b, nullptr, multiply};

}  // namespace lorikeet::avx2
