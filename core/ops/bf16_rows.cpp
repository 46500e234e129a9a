#include "core/ops/bf16_rows.h"

#include <algorithm>

#include "core/ops/row_kernels.h"

namespace lorikeet::ops {
namespace {

constexpr int64_t kRowsATask = 32;

}  // namespace

void round_rows(Context& cx, const Tensor& x, Tensor& y) {
  const RowKernels& k = row_kernels(cx.level());
  cx.pool().for_blocks(x.rows(), kRowsATask, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) k.to_bf16(x.row<float>(r), bf16_row(y, r), x.width());
  });
}

void widen_rows(Context& cx, const Tensor& x, Tensor& y) {
  const RowKernels& k = row_kernels(cx.level());
  cx.pool().for_blocks(x.rows(), kRowsATask, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) k.from_bf16(bf16_row(x, r), y.row<float>(r), x.width());
  });
}

Tensor as_bf16(Context& cx, const Tensor& x) {
  if (x.dtype() == DType::bf16) return x;
  Tensor y = Tensor::empty(x.shape(), DType::bf16);
  round_rows(cx, x, y);
  return y;
}

Tensor as_f32(Context& cx, const Tensor& x) {
  if (x.dtype() == DType::f32) return x;
  Tensor y = Tensor::empty(x.shape(), DType::f32);
  widen_rows(cx, x, y);
  return y;
}

Bf16Rows spread_rows(Context& cx, int slot, const Tensor& x) {
  const int64_t stride = spread_stride(x.row_stride());
  if (stride == x.row_stride() || x.rows() < kRowsATask) return bf16_rows(x);  // few rows fit beside each other
  auto* copy = static_cast<uint16_t*>(cx.shared_scratch(slot, static_cast<size_t>(x.rows() * stride) * sizeof(uint16_t)));
  cx.pool().for_blocks(x.rows(), kRowsATask, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) std::copy_n(bf16_row(x, r), x.width(), copy + r * stride);
  });
  return {copy, stride};
}

ColumnTasks column_tasks(int64_t columns, int64_t steps, int64_t rows, int threads) {
  constexpr int64_t kPackedBytes = 288 << 10, kMostColumns = 192, kUnit = 32;
  const int64_t most = std::clamp(kPackedBytes / (4 * std::max<int64_t>(steps, 1)) / kUnit * kUnit, kUnit, kMostColumns);
  int64_t blocks = (columns + most - 1) / most;
  const int64_t even = (blocks + threads - 1) / threads * threads;
  if (columns / even >= kUnit) blocks = even;
  ColumnTasks t{columns, rows, ((columns + blocks - 1) / blocks + kPanelColumns - 1) / kPanelColumns * kPanelColumns, 0, rows, 1};
  t.blocks = (columns + t.width - 1) / t.width;
  const int64_t row_blocks = (rows + PackedProduct::kRows - 1) / PackedProduct::kRows;
  const int64_t groups = std::clamp<int64_t>(threads / std::max<int64_t>(t.blocks, 1), 1, std::max<int64_t>(row_blocks, 1));
  t.group_rows = (row_blocks + groups - 1) / groups * PackedProduct::kRows;
  t.groups = t.group_rows > 0 ? (rows + t.group_rows - 1) / t.group_rows : 0;
  return t;
}

}  // namespace lorikeet::ops
