/// Dense matrix product on the CPU. Row-major, f32 or f64, single-threaded: callers split the work over the pool.
/// c = alpha * op(a) op(b) + beta * c with op(a) [m, k], op(b) [k, n]; c must not overlap a or b.
/// f32 in f32: sums in f32, in an order that depends on the unit and the sizes alone. f32 in bf16: every a * alpha and b
/// is rounded to bf16 (nearest even), sums stay in f32. f64 and the scalar level use plain loops: the reference.
#pragma once
#include <cstdint>

#include "core/tensor/cpu_level.h"

namespace lorikeet {
template <class T>
void gemm(CpuUnit unit, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, T alpha, const T* a,
          int64_t lda, const T* b, int64_t ldb, T beta, T* c, int64_t ldc);
}  // namespace lorikeet
