// The one door to BLAS. OpenBLAS was kept over oneDNN: one thread of either reaches the same 95 to 105 GFLOP/s on the
// shapes of a 135M model (AVX-512), and OpenBLAS needs no OpenMP runtime beside our own pool.
#include "core/ops/gemm.h"

#include <cblas.h>

#include <algorithm>

extern "C" void openblas_set_num_threads(int);

namespace lorikeet {
namespace {

// The reference: plain loops in blocks, sums in the order of k.
template <class T>
void gemm_plain(bool ta, bool tb, int64_t m, int64_t n, int64_t k, T alpha, const T* a, int64_t lda, const T* b, int64_t ldb, T beta, T* c, int64_t ldc) {
  for (int64_t i = 0; i < m; ++i) {
    T* row = c + i * ldc;
    for (int64_t j = 0; j < n; ++j) row[j] = beta == T(0) ? T(0) : row[j] * beta;
    if (tb) {
      for (int64_t j = 0; j < n; ++j) {
        T sum = 0;
        for (int64_t p = 0; p < k; ++p) sum += (ta ? a[p * lda + i] : a[i * lda + p]) * b[j * ldb + p];
        row[j] += alpha * sum;
      }
    } else {
      for (int64_t p = 0; p < k; ++p) {
        const T s = alpha * (ta ? a[p * lda + i] : a[i * lda + p]);
        for (int64_t j = 0; j < n; ++j) row[j] += s * b[p * ldb + j];
      }
    }
  }
}

void one_thread() {
  static const bool done = [] {
    openblas_set_num_threads(1);  // the pool above decides about threads
    return true;
  }();
  (void)done;
}

}  // namespace

template <>
void gemm<float>(CpuLevel level, bool ta, bool tb, int64_t m, int64_t n, int64_t k, float alpha, const float* a, int64_t lda, const float* b, int64_t ldb, float beta, float* c, int64_t ldc) {
  if (m == 0 || n == 0) return;
  if (level == CpuLevel::scalar) return gemm_plain(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  one_thread();
  cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, static_cast<int>(m), static_cast<int>(n), static_cast<int>(k), alpha, a,
              static_cast<int>(lda), b, static_cast<int>(ldb), beta, c, static_cast<int>(ldc));
}

template <>
void gemm<double>(CpuLevel level, bool ta, bool tb, int64_t m, int64_t n, int64_t k, double alpha, const double* a, int64_t lda, const double* b, int64_t ldb, double beta, double* c, int64_t ldc) {
  if (m == 0 || n == 0) return;
  if (level == CpuLevel::scalar) return gemm_plain(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  one_thread();
  cblas_dgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, static_cast<int>(m), static_cast<int>(n), static_cast<int>(k), alpha, a,
              static_cast<int>(lda), b, static_cast<int>(ldb), beta, c, static_cast<int>(ldc));
}

}  // namespace lorikeet
