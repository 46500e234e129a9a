// gemm for AVX-512: 14 x 32 sums in 28 of the 32 registers. Compiled with that level's flags (CMakeLists.txt).
#include <immintrin.h>

#include "core/ops/gemm_kernels.h"

namespace lorikeet::avx512 {
namespace {

using Vec = __m512;
using StepVec = __m512;
using Step = float;
constexpr int kLanes = 16, kTileRows = 14;

inline Vec zero() { return _mm512_setzero_ps(); }
inline Vec load(const float* p) { return _mm512_loadu_ps(p); }
inline void store(float* p, Vec v) { _mm512_storeu_ps(p, v); }
inline Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
inline StepVec load_steps(const Step* p) { return _mm512_loadu_ps(p); }
inline StepVec broadcast(Step s) { return _mm512_set1_ps(s); }
inline Vec multiply_add(Vec sum, StepVec a, StepVec b) { return _mm512_fmadd_ps(a, b, sum); }

#include "core/ops/transpose16_avx512.inl"

void transpose_block(const float* from, int64_t stride, float* out, int64_t out_stride) {
  __m512i r[16];
  for (int i = 0; i < 16; ++i) r[i] = _mm512_loadu_si512(from + i * stride);
  transpose16(r);
  for (int i = 0; i < 16; ++i) _mm512_storeu_si512(out + i * out_stride, r[i]);
}

#include "core/ops/gemm_pack_f32.inl"
#include "core/ops/gemm_tile.inl"

}  // namespace

const GemmKernels kGemmKernels = {kTileRows, 1, 1, 1, 192, pack_a, pack_b, nullptr, multiply};

}  // namespace lorikeet::avx512
