/// Products of bf16 rows with an operand packed once (gemm_kernels.h), sums in f32: what the bf16 kernels of linear
/// layers, attention and the loss are made of. Rows of `a` are read where they lie, so that activations kept in bf16
/// are never packed. Single-threaded; each sum runs over k in one order whatever the blocks around it.
/// Only for units that multiply bf16: elsewhere the ops widen their rows to f32 (bf16_rows.h).
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/ops/gemm_kernels.h"
#include "core/tensor/cpu_level.h"

namespace lorikeet {

/// The kernels of a unit other than scalar.
const GemmKernels& gemm_kernels(CpuUnit unit);

namespace ops {

/// Rows of bf16 numbers, `stride` numbers apart.
struct Bf16Rows {
  const uint16_t* data;
  int64_t stride;
  Bf16Rows from(int64_t row, int64_t column = 0) const { return {data + row * stride + column, stride}; }
};
/// A packed operand: panels of 16 columns, `steps` pairs of k each.
struct Packed {
  uint32_t* data;
  int64_t steps;
  /// From column n (a multiple of 16) and step p on.
  Packed from(int64_t n, int64_t p = 0) const { return {data + (n * steps + p * kPanelColumns), steps}; }
};

class PackedProduct {
 public:
  static constexpr int64_t kRows = 64;  // of `a` a call, at most
  static bool offered(CpuUnit unit);
  explicit PackedProduct(CpuUnit unit) : kernels_(gemm_kernels(unit)) {}
  /// Steps of a packed operand with k numbers a column.
  int64_t steps(int64_t k) const { return ((k + 1) / 2 + kernels_.depth_unit - 1) / kernels_.depth_unit * kernels_.depth_unit; }
  /// Words of 32 bits a packed operand takes.
  int64_t words(int64_t columns, int64_t k) const { return (columns + kPanelColumns - 1) / kPanelColumns * kPanelColumns * steps(k); }
  /// k numbers of `columns` columns at the start of `out`, whose steps may go on behind them. Rows of the operand are
  /// columns here.
  void pack(const GemmOperand& b, int64_t columns, int64_t k, float alpha, Packed out) const { kernels_.pack_b(b, columns, k, alpha, out.data, out.steps); }
  void pack(const Bf16Operand& b, int64_t columns, int64_t k, Packed out) const { kernels_.pack_b16(b, columns, k, out.data, out.steps); }
  /// c [rows, columns] (+)= a [rows, k] b; rows <= kRows. `columns` may end inside a panel.
  void multiply(Bf16Rows a, int64_t rows, int64_t k, Packed b, int64_t columns, float* c, int64_t c_stride, bool accumulate) const;

 private:
  const GemmKernels& kernels_;
};

}  // namespace ops
}  // namespace lorikeet
