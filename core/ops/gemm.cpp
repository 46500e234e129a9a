// Blocks: a panel of b (kDepth steps by kColumns, in the L2 cache) is packed once and met by all rows of a, a few tiles
// at a time. The tiles run at 95 % and more of the unit's peak, so that no library is faster on these sizes.
#include "core/ops/gemm.h"

#include <algorithm>
#include <span>

#include "core/ops/gemm_kernels.h"
#include "core/ops/packed_product.h"
#include "core/tensor/dtype.h"

namespace lorikeet {
namespace {

constexpr int64_t kColumns = 192;     // of b in a packed block, a multiple of kPanelColumns
constexpr int64_t kMostDepth = 384;   // steps of k in a packed block
constexpr int64_t kMostRows = 64;     // of a in a packed block

float rounded_to_bf16(float x) { return f32_from_bf16(bf16_from_f32(x)); }

// The reference: blocks of op(b) are copied to rows first, so that the inner loop runs along contiguous memory. Each
// block's 64 products are summed apart before they join c: the rounding error grows with k / 64 instead of k.
template <class T>
void gemm_plain(bool round, bool ta, bool tb, int64_t m, int64_t n, int64_t k, T alpha, const T* a, int64_t lda, const T* b, int64_t ldb, T* c, int64_t ldc) {
  const auto value = [round](T x) {
    if constexpr (std::is_same_v<T, float>) return round ? rounded_to_bf16(x) : x;
    else return x;
  };
  constexpr int64_t kBlockDepth = 64, kBlockWidth = 64;
  T block[kBlockDepth * kBlockWidth];
  for (int64_t j0 = 0; j0 < n; j0 += kBlockWidth)
    for (int64_t p0 = 0; p0 < k; p0 += kBlockDepth) {
      const int64_t width = std::min(kBlockWidth, n - j0), depth = std::min(kBlockDepth, k - p0);
      for (int64_t p = 0; p < depth; ++p)
        for (int64_t j = 0; j < width; ++j) block[p * kBlockWidth + j] = value(tb ? b[(j0 + j) * ldb + p0 + p] : b[(p0 + p) * ldb + j0 + j]);
      for (int64_t i = 0; i < m; ++i) {
        T sums[kBlockWidth] = {};
        for (int64_t p = 0; p < depth; ++p) {
          const T s = value(alpha * (ta ? a[(p0 + p) * lda + i] : a[i * lda + p0 + p]));
          for (int64_t j = 0; j < width; ++j) sums[j] += s * block[p * kBlockWidth + j];
        }
        for (int64_t j = 0; j < width; ++j) c[i * ldc + j0 + j] += sums[j];
      }
    }
}

}  // namespace

const GemmKernels& gemm_kernels(CpuUnit unit) {
  if (unit.compute == ComputeType::bf16) {
    if (unit.level == CpuLevel::amx) return amx::kGemmKernels;
    if (unit.level == CpuLevel::avx512 && cpu_probe().bf16_dot) return avx512_bf16::kGemmKernels;
  }
  return unit.level >= CpuLevel::avx512 ? avx512::kGemmKernels : avx2::kGemmKernels;
}

namespace {

void round_to_bf16(std::span<float> values) {
  for (float& v : values) v = rounded_to_bf16(v);
}

void gemm_packed(CpuUnit unit, const GemmOperand& a, const GemmOperand& b, int64_t m, int64_t n, int64_t k, float alpha, bool accumulate, float* c, int64_t ldc) {
  const GemmKernels& kernels = gemm_kernels(unit);
  const bool round = unit.compute == ComputeType::bf16 && kernels.pair == 1;  // bf16 numbers without the unit for them
  alignas(64) float packed_b[kColumns * kMostDepth];
  alignas(64) float packed_a[kMostRows * kMostDepth];
  const int64_t rows = kMostRows / kernels.tile_rows * kernels.tile_rows, most_k = kernels.block_depth * kernels.pair;
  for (int64_t n0 = 0; n0 < n; n0 += kColumns)
    for (int64_t k0 = 0; k0 < k; k0 += most_k) {
      const int64_t width = std::min(kColumns, n - n0), part = std::min(most_k, k - k0);
      const int64_t depth = ((part + kernels.pair - 1) / kernels.pair + kernels.depth_unit - 1) / kernels.depth_unit * kernels.depth_unit;
      kernels.pack_b({b.data + n0 * b.row_stride + k0 * b.k_stride, b.row_stride, b.k_stride}, width, part, 1, packed_b, depth);
      if (round) round_to_bf16({packed_b, static_cast<size_t>((width + kPanelColumns - 1) / kPanelColumns * kPanelColumns * depth)});
      for (int64_t m0 = 0; m0 < m; m0 += rows) {
        const int64_t height = std::min(rows, m - m0);
        kernels.pack_a({a.data + m0 * a.row_stride + k0 * a.k_stride, a.row_stride, a.k_stride}, height, part, alpha, packed_a);
        if (round) round_to_bf16({packed_a, static_cast<size_t>(height * depth)});
        kernels.multiply({packed_a, depth, packed_b, depth, c + m0 * ldc + n0, ldc, height, width, depth, accumulate || k0 > 0});
      }
    }
}

template <class T>
void scale_rows(int64_t m, int64_t n, T beta, T* c, int64_t ldc) {
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) c[i * ldc + j] = beta == T(0) ? T(0) : c[i * ldc + j] * beta;
}

}  // namespace

template <>
void gemm<float>(CpuUnit unit, bool ta, bool tb, int64_t m, int64_t n, int64_t k, float alpha, const float* a, int64_t lda, const float* b, int64_t ldb, float beta, float* c, int64_t ldc) {
  if (m == 0 || n == 0) return;
  const bool plain = unit.level == CpuLevel::scalar;
  if (plain || k == 0 || (beta != 0 && beta != 1)) {
    scale_rows(m, n, beta, c, ldc);
    beta = 1;
  }
  if (plain) return gemm_plain(unit.compute == ComputeType::bf16, ta, tb, m, n, k, alpha, a, lda, b, ldb, c, ldc);
  gemm_packed(unit, {a, ta ? 1 : lda, ta ? lda : 1}, {b, tb ? ldb : 1, tb ? 1 : ldb}, m, n, k, alpha, beta == 1, c, ldc);
}

template <>
void gemm<double>(CpuUnit, bool ta, bool tb, int64_t m, int64_t n, int64_t k, double alpha, const double* a, int64_t lda, const double* b, int64_t ldb, double beta, double* c, int64_t ldc) {
  scale_rows(m, n, beta, c, ldc);
  gemm_plain(false, ta, tb, m, n, k, alpha, a, lda, b, ldb, c, ldc);
}

}  // namespace lorikeet
