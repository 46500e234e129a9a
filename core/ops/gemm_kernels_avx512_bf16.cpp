// gemm for AVX-512 with bf16 dot products: operands are rounded to bf16 while they are packed, a step of depth is a pair
// of neighbouring k, sums stay in f32. Compiled with that unit's flags (CMakeLists.txt).
#include <immintrin.h>

#include "core/ops/gemm_kernels.h"

namespace lorikeet::avx512_bf16 {
namespace {

using Vec = __m512;
using StepVec = __m512bh;
using Step = int32_t;
constexpr int kLanes = 16, kTileRows = 14;

inline Vec zero() { return _mm512_setzero_ps(); }
inline Vec load(const float* p) { return _mm512_loadu_ps(p); }
inline void store(float* p, Vec v) { _mm512_storeu_ps(p, v); }
inline Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
inline StepVec load_steps(const Step* p) { return (__m512bh)_mm512_loadu_si512(p); }
inline StepVec broadcast(Step s) { return (__m512bh)_mm512_set1_epi32(s); }
inline Vec multiply_add(Vec sum, StepVec a, StepVec b) { return _mm512_dpbf16_ps(sum, a, b); }

inline int64_t depth_of(int64_t k) { return (k + 1) / 2; }

#include "core/ops/gemm_pack_bf16.inl"
#include "core/ops/gemm_tile.inl"

}  // namespace

const GemmKernels kGemmKernels = {kTileRows, 1, 2, 1, 384, pack_a, pack_b, pack_b16, multiply};

}  // namespace lorikeet::avx512_bf16
