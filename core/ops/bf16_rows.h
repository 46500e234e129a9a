/// Rows kept in bf16: conversions of whole tensors and access for products.
#pragma once
#include "core/ops/packed_product.h"
#include "core/tensor/context.h"

namespace lorikeet::ops {

inline Bf16Rows bf16_rows(const Tensor& t) { return {t.bits16(), t.row_stride()}; }
inline uint16_t* bf16_row(Tensor& t, int64_t r) { return t.bits16() + r * t.row_stride(); }
inline const uint16_t* bf16_row(const Tensor& t, int64_t r) { return t.bits16() + r * t.row_stride(); }
/// y = x rounded to bf16, nearest even; x f32, y bf16 of the same shape.
void round_rows(Context& cx, const Tensor& x, Tensor& y);
/// y = x; x bf16, y f32.
void widen_rows(Context& cx, const Tensor& x, Tensor& y);
/// x itself when it is bf16, else a rounded copy.
Tensor as_bf16(Context& cx, const Tensor& x);
/// x itself when it is f32, else a copy.
Tensor as_f32(Context& cx, const Tensor& x);

/// Numbers between rows of `width` so that they do not lie a multiple of 4096 bytes apart: rows that do share one set of
/// the first cache, where a tile's rows then push each other out.
constexpr int64_t spread_stride(int64_t width) { return width > 0 && width % 2048 == 0 ? width + 64 : width; }
/// Whether rows of f32 that far apart share one set of the first cache: sums of a block are then
/// made elsewhere first (a prototype with AMX tiles lost 30 % to it; AVX-512 neither gains nor loses).
constexpr bool sums_collide(int64_t stride) { return stride % 1024 == 0; }
/// Rows of bf16 for products: x itself, or where its rows share a cache set a copy in shared scratch `slot`.
Bf16Rows spread_rows(Context& cx, int slot, const Tensor& x);

/// How a product is shared out: blocks of columns, each packed by one task so that it stays in the L2 cache, and, where
/// there are more threads than blocks, groups of rows. The sums do not depend on it.
struct ColumnTasks {
  int64_t columns, rows, width, blocks, group_rows, groups;
};
ColumnTasks column_tasks(int64_t columns, int64_t steps, int64_t rows, int threads);
/// Calls body(first column, columns, first row, end row, thread) for each task.
template <class F>
void run_column_tasks(Context& cx, const ColumnTasks& t, const F& body) {
  cx.pool().run(t.blocks * t.groups, [&](int64_t task, int thread) {
    const int64_t n = task % t.blocks * t.width, row = task / t.blocks * t.group_rows;
    body(n, std::min(t.width, t.columns - n), row, std::min(t.rows, row + t.group_rows), thread);
  });
}

}  // namespace lorikeet::ops
