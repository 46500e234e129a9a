/// How ops cut work into tasks. Sizes depend on the shapes alone, never on the number of threads, so that every element
/// is computed by the same sequence of operations whatever machine part works on it.
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/tensor/context.h"

namespace lorikeet {

/// Even blocks of about `target` (at most target + unit - 1), each but the last a multiple of `unit`.
inline int64_t even_block(int64_t total, int64_t target, int64_t unit) {
  const int64_t count = std::max<int64_t>(1, (total + target / 2) / target);
  const int64_t block = (total + count - 1) / count;
  return std::max(unit, (block + unit - 1) / unit * unit);
}

/// Rows that make one task of a pointwise op: about 16k elements.
inline int64_t row_block(int64_t width) { return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, width)); }

struct Tile { int64_t row, rows, column, columns; };

/// Calls body(tile, thread) for a grid of tiles over [rows, columns]; neighbours in a row of tiles share the rows.
template <class Body>
void for_tiles(Context& cx, int64_t rows, int64_t columns, int64_t row_step, int64_t column_step, const Body& body) {
  const int64_t down = (rows + row_step - 1) / row_step, across = (columns + column_step - 1) / column_step;
  cx.pool().run(down * across, [&](int64_t task, int thread) {
    const int64_t r = task / across * row_step, c = task % across * column_step;
    body(Tile{r, std::min(row_step, rows - r), c, std::min(column_step, columns - c)}, thread);
  });
}

/// Scratch as elements of T.
template <class T>
T* scratch_of(Context& cx, int thread, int slot, int64_t elements) {
  return static_cast<T*>(cx.scratch(thread, slot, static_cast<size_t>(elements) * sizeof(T)));
}

}  // namespace lorikeet
