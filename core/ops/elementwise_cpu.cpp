#include <cstring>

#include "core/ops/bf16_rows.h"
#include "core/ops/cpu_twins.h"
#include "core/ops/row_kernels.h"

namespace lorikeet {
namespace {

template <class F>
void by_rows(Context& cx, int64_t rows, const F& row) {
  cx.pool().for_blocks(rows, 32, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) row(r);
  });
}

void add_cpu(Context& cx, const Tensor& a, const Tensor& b, Tensor& y) {
  const RowKernels& k = row_kernels(cx.level());
  by_rows(cx, a.rows(), [&](int64_t r) {
    if (a.dtype() == DType::f32) return k.add(a.row<float>(r), b.row<float>(r), y.row<float>(r), a.width());
    for (int64_t i = 0; i < a.width(); ++i) y.row<double>(r)[i] = a.row<double>(r)[i] + b.row<double>(r)[i];
  });
}

void add_scaled_cpu(Context& cx, Tensor& y, const Tensor& x, double s) {
  const RowKernels& k = row_kernels(cx.level());
  by_rows(cx, y.rows(), [&](int64_t r) {
    if (y.dtype() == DType::f32) return k.axpy(x.row<float>(r), static_cast<float>(s), y.row<float>(r), y.width());
    for (int64_t i = 0; i < y.width(); ++i) y.row<double>(r)[i] += s * x.row<double>(r)[i];
  });
}

char* row_bytes(Tensor& t, int64_t r) { return static_cast<char*>(t.raw()) + static_cast<size_t>(r * t.row_stride()) * dtype_bytes(t.dtype()); }
const char* row_bytes(const Tensor& t, int64_t r) { return static_cast<const char*>(t.raw()) + static_cast<size_t>(r * t.row_stride()) * dtype_bytes(t.dtype()); }

void gather_rows_cpu(Context& cx, const Tensor& x, const Tensor& rows, Tensor& y) {
  const size_t bytes = static_cast<size_t>(x.width()) * dtype_bytes(x.dtype());
  by_rows(cx, rows.size(), [&](int64_t i) { std::memcpy(row_bytes(y, i), row_bytes(x, rows.data<int32_t>()[i]), bytes); });
}

void scatter_rows_cpu(Context& cx, const Tensor& x, const Tensor& rows, Tensor& y) {
  const size_t bytes = static_cast<size_t>(y.width()) * dtype_bytes(y.dtype());
  by_rows(cx, y.rows(), [&](int64_t r) { std::memset(row_bytes(y, r), 0, bytes); });
  by_rows(cx, rows.size(), [&](int64_t i) { std::memcpy(row_bytes(y, rows.data<int32_t>()[i]), row_bytes(x, i), bytes); });
}

}  // namespace

const ElementwiseKernels kElementwiseCpu = {&add_cpu, &add_scaled_cpu, &gather_rows_cpu, &scatter_rows_cpu, &ops::round_rows};

}  // namespace lorikeet
