#include "core/ops/elementwise.h"

#include <cstring>

#include "core/ops/row_kernels.h"
#include "core/ops/tiles.h"

namespace lorikeet {
namespace {

// Calls body(row, first column, columns) so that a long single row is shared out too.
template <class Body>
void for_pieces(Context& cx, const Tensor& t, const Body& body) {
  const int64_t width = t.width();
  constexpr int64_t kPiece = 16384;
  for_tiles(cx, t.rows(), width, row_block(width), kPiece, [&](const Tile& tile, int) {
    for (int64_t r = tile.row; r < tile.row + tile.rows; ++r) body(r, tile.column, tile.columns);
  });
}

template <class T>
void add_typed(Context& cx, const Tensor& a, const Tensor& b, Tensor& y) {
  const RowKernels<T>& kernels = row_kernels<T>(cx.level());
  for_pieces(cx, y, [&](int64_t r, int64_t c, int64_t n) { kernels.add(a.row<T>(r) + c, b.row<T>(r) + c, y.row<T>(r) + c, n); });
}

template <class T>
void add_scaled_typed(Context& cx, Tensor& y, const Tensor& x, double s) {
  const RowKernels<T>& kernels = row_kernels<T>(cx.level());
  for_pieces(cx, y, [&](int64_t r, int64_t c, int64_t n) { kernels.axpy(static_cast<T>(s), x.row<T>(r) + c, y.row<T>(r) + c, n); });
}

char* row_bytes(Tensor& t, int64_t r) { return static_cast<char*>(t.raw()) + static_cast<size_t>(r * t.row_stride()) * dtype_bytes(t.dtype()); }
const char* row_bytes(const Tensor& t, int64_t r) {
  return static_cast<const char*>(t.raw()) + static_cast<size_t>(r * t.row_stride()) * dtype_bytes(t.dtype());
}

void add_cpu(Context& cx, const Tensor& a, const Tensor& b, Tensor& y) {
  y.dtype() == DType::f64 ? add_typed<double>(cx, a, b, y) : add_typed<float>(cx, a, b, y);
}
void add_scaled_cpu(Context& cx, Tensor& y, const Tensor& x, double s) {
  y.dtype() == DType::f64 ? add_scaled_typed<double>(cx, y, x, s) : add_scaled_typed<float>(cx, y, x, s);
}
void gather_rows_cpu(Context& cx, const Tensor& x, const Tensor& rows, Tensor& y) {
  const size_t bytes = static_cast<size_t>(x.width()) * dtype_bytes(x.dtype());
  cx.pool().for_blocks(y.dim(0), row_block(x.width()), [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) std::memcpy(row_bytes(y, i), row_bytes(x, rows.data<int32_t>()[i]), bytes);
  });
}
void scatter_rows_cpu(Context& cx, const Tensor& x, const Tensor& rows, Tensor& y) {
  const size_t bytes = static_cast<size_t>(y.width()) * dtype_bytes(y.dtype());
  cx.pool().for_blocks(y.dim(0), row_block(y.width()), [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) std::memset(row_bytes(y, i), 0, bytes);
  });
  cx.pool().for_blocks(x.dim(0), row_block(x.width()), [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) std::memcpy(row_bytes(y, rows.data<int32_t>()[i]), row_bytes(x, i), bytes);
  });
}

}  // namespace

extern const ElementwiseKernels elementwise_cpu;
const ElementwiseKernels elementwise_cpu = {add_cpu, add_scaled_cpu, gather_rows_cpu, scatter_rows_cpu};

}  // namespace lorikeet
