// Each thread takes one stretch of rows of the weight; base, adapter and bias of a stretch come one after another.
#include "core/ops/few_rows.h"

#include <algorithm>

#include "core/ops/dropout.h"
#include "core/ops/gemm.h"
#include "core/ops/panels.h"
#include "core/ops/row_kernels.h"

namespace lorikeet::ops {
namespace {

constexpr int64_t kRowUnit = 8;         // stretches start at multiples of it, so that kernels see whole groups of rows
constexpr int64_t kLeastWork = 1 << 16; // products worth waking another thread for

// h = x~ A^T, one dot product an element.
void adapter_in(Context& cx, const AdaptedLinearArgs& a) {
  const RowKernels& k = row_kernels(cx.level());
  const int64_t tokens = a.x.rows(), rank = a.a->dim(0), width = a.x.width();
  Tensor masked = a.x;
  if (a.dropout > 0) {
    masked = Tensor::empty(a.x.shape(), a.x.dtype());
    for (int64_t t = 0; t < tokens; ++t) drop_row(k, a.x.row<float>(t), masked.row<float>(t), a.dropout_row + t, width, a.dropout, a.dropout_seed);
  }
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t r = 0; r < rank; ++r) a.h->row<float>(t)[r] = k.dot(masked.row<float>(t), a.a->data<float>() + r * width, width);
}

// Rows [row, row + count) of W decoded first: for formats, widths and levels without kernels of their own.
void decoded_stretch(Context& cx, const AdaptedLinearArgs& a, int64_t row, int64_t count, int thread) {
  const RowKernels& k = row_kernels(cx.level());
  const int64_t width = a.x.width();
  for (int64_t r = row; r < row + count; r += kRowUnit) {
    const int64_t rows = std::min(kRowUnit, row + count - r);
    const float* w = decoded_rows<float>(cx, thread, a.w, r, rows);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t t = 0; t < a.x.rows(); ++t) a.y.row<float>(t)[r + i] = k.dot(a.x.row<float>(t), w + i * width, width);
  }
}

// y += scale * h B^T. The product is made from zero and then added, so that an element's bits do not depend on where its
// tile starts or ends.
void adapter_out(Context& cx, const AdaptedLinearArgs& a, int64_t row, int64_t count, int thread) {
  const int64_t tokens = a.x.rows(), rank = a.a->dim(0);
  auto* part = static_cast<float*>(cx.scratch(thread, 1, static_cast<size_t>(tokens * count) * sizeof(float)));
  gemm<float>(CpuUnit(cx.level()), false, true, tokens, count, rank, static_cast<float>(a.scale), a.h->data<float>(), a.h->row_stride(), a.b->data<float>() + row * rank, rank, 0, part,
              count);
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t r = 0; r < count; ++r) a.y.row<float>(t)[row + r] += part[t * count + r];
}

void stretch(Context& cx, const AdaptedLinearArgs& a, int64_t row, int64_t count, int thread) {
  const int64_t tokens = a.x.rows();
  const FewRows few{a.x.data<float>(), a.x.row_stride(), tokens, a.y.data<float>() + row, a.y.row_stride()};
  if (!a.w.multiply_few(cx.level(), row, count, few)) decoded_stretch(cx, a, row, count, thread);
  if (a.a) adapter_out(cx, a, row, count, thread);
  if (!a.bias) return;
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t r = row; r < row + count; ++r) a.y.row<float>(t)[r] += a.bias->data<float>()[r];
}

}  // namespace

void adapted_linear_few_rows(Context& cx, const AdaptedLinearArgs& a) {
  if (a.x.rows() == 0 || a.w.rows() == 0) return;
  if (a.a) adapter_in(cx, a);
  if (!a.y.defined()) return;
  const int64_t rows = a.w.rows(), threads = rows * a.w.columns() * a.x.rows() < kLeastWork ? 1 : cx.threads();
  const int64_t share = ((rows + threads - 1) / threads + kRowUnit - 1) / kRowUnit * kRowUnit;
  cx.pool().for_blocks(rows, share, [&](int64_t begin, int64_t end, int thread) { stretch(cx, a, begin, end - begin, thread); });
}

}  // namespace lorikeet::ops
