// The one door to BLAS. OpenBLAS was kept over oneDNN: one thread of either reaches the same 95 to 105 GFLOP/s on the
// shapes of a 135M model (AVX-512), and OpenBLAS needs no OpenMP runtime beside our own pool.
#include "core/ops/gemm.h"

#include <cblas.h>

#include <algorithm>

extern "C" void openblas_set_num_threads(int);

namespace lorikeet {
namespace {

// The reference: blocks of op(b) are copied to rows first, so that the inner loop runs along contiguous memory.
template <class T>
void gemm_plain(bool ta, bool tb, int64_t m, int64_t n, int64_t k, T alpha, const T* a, int64_t lda, const T* b, int64_t ldb, T beta, T* c, int64_t ldc) {
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) c[i * ldc + j] = beta == T(0) ? T(0) : c[i * ldc + j] * beta;
  constexpr int64_t kDepth = 64, kWidth = 64;
  T block[kDepth * kWidth];
  for (int64_t j0 = 0; j0 < n; j0 += kWidth)
    for (int64_t p0 = 0; p0 < k; p0 += kDepth) {
      const int64_t width = std::min(kWidth, n - j0), depth = std::min(kDepth, k - p0);
      for (int64_t p = 0; p < depth; ++p)
        for (int64_t j = 0; j < width; ++j) block[p * kWidth + j] = tb ? b[(j0 + j) * ldb + p0 + p] : b[(p0 + p) * ldb + j0 + j];
      for (int64_t i = 0; i < m; ++i) {
        T* out = c + i * ldc + j0;
        for (int64_t p = 0; p < depth; ++p) {
          const T s = alpha * (ta ? a[(p0 + p) * lda + i] : a[i * lda + p0 + p]);
          for (int64_t j = 0; j < width; ++j) out[j] += s * block[p * kWidth + j];
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
