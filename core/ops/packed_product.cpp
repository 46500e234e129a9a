#include "core/ops/packed_product.h"

#include <algorithm>
#include <cstring>

namespace lorikeet::ops {
namespace {

constexpr int64_t kMostDepth = 384;  // steps of k in a block, the most a unit asks for

}  // namespace

bool PackedProduct::offered(CpuUnit unit) { return unit.level != CpuLevel::scalar && gemm_kernels(unit).pack_b16 != nullptr; }

void PackedProduct::multiply(Bf16Rows a, int64_t rows, int64_t k, Packed b, int64_t columns, float* c, int64_t c_stride, bool accumulate) const {
  for (int64_t p = 0; 2 * p < k; p += kernels_.block_depth) {
    const int64_t part = std::min(k - 2 * p, 2 * kernels_.block_depth), depth = steps(part);
    const uint16_t* at = a.data + 2 * p;
    GemmBlock block{at, a.stride / 2, b.data + p * kPanelColumns, b.steps, c, c_stride, rows, columns, depth, accumulate || p > 0};
    // Rows are read in whole steps and row units; where that would pass their end a filled-up copy is read.
    alignas(64) uint16_t copy[kRows * kMostDepth * 2];
    const bool whole_steps = a.stride % 2 == 0 && reinterpret_cast<uintptr_t>(at) % sizeof(uint32_t) == 0 && 2 * depth == part;
    if (!whole_steps || rows % kernels_.row_unit != 0) {
      for (int64_t r = 0; r < rows; ++r) {
        std::memcpy(copy + r * 2 * depth, at + r * a.stride, static_cast<size_t>(part) * sizeof(uint16_t));
        std::fill(copy + r * 2 * depth + part, copy + (r + 1) * 2 * depth, uint16_t{0});
      }
      const int64_t whole = std::min(kRows, (rows + kernels_.row_unit - 1) / kernels_.row_unit * kernels_.row_unit);
      std::fill(copy + rows * 2 * depth, copy + whole * 2 * depth, uint16_t{0});
      block.a = copy;
      block.a_stride = depth;
    }
    kernels_.multiply(block);
  }
}

}  // namespace lorikeet::ops
