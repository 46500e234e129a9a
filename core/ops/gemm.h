/// Dense matrix product on the CPU, the one door to BLAS. Row-major, f32 or f64, single-threaded: callers split the
/// work over the pool. c = alpha * op(a) op(b) + beta * c with op(a) [m, k], op(b) [k, n].
/// The scalar CPU level uses plain loops instead (the reference); other levels use OpenBLAS with one thread a call.
#pragma once
#include <cstdint>

#include "core/tensor/cpu_level.h"

namespace lorikeet {
template <class T>
void gemm(CpuLevel level, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, T alpha, const T* a,
          int64_t lda, const T* b, int64_t ldb, T beta, T* c, int64_t ldc);
}  // namespace lorikeet
