// Linear layer over a stored weight with a low-rank adapter, forward. The weight is decoded to the type of the rows (whole,
// or in panels of rows where it is large: linear_parts.h), then it is products: h = x~ A^T, y = start + scale h B^T + x W^T.
//
// Order and rounding on rows of bf16 or f16: y starts as residual and bias, the adapter's part is added, the base comes last and is
// by far the largest, so that what y was rounded to on the way hardly counts; where y is f32 nothing is rounded on the way.
// h is rounded too, a and b are rounded copies, as on the host. Dropout: x~ is a masked copy, made for a stretch of rows
// at a time (mask: device/random.cuh). The gate is swiglu's kernel. Few rows of bf16 meet the weight in its stored form
// (few_rows.h). Deterministic.
#include "core/base/error.h"
#include "cuda/ops/few_rows.h"
#include "cuda/ops/linear_parts.h"
#include "cuda/ops/twins.h"

namespace lorikeet::cuda {
namespace {

bool same_place(const Tensor& a, const Tensor& b) { return a.raw() == b.raw() && a.row_stride() == b.row_stride(); }

/// h = x~ A^T
void low_rank_rows(Context& cx, const AdaptedLinearArgs& a, const Tensor& down) {
  if (a.dropout <= 0) return product(a.x, Lies::as_stored, down, Lies::turned, *a.h);
  const int64_t tokens = a.x.dim(0), stretch = masked_rows(a.x);
  Tensor masked = cx.empty({std::min(tokens, stretch), a.x.width()}, a.x.dtype());
  for (int64_t t = 0; t < tokens; t += stretch) {
    const int64_t end = std::min(tokens, t + stretch);
    Tensor part = masked.slice(0, end - t), h = a.h->slice(t, end);
    drop_rows(a.x.slice(t, end), part, a.dropout_row + t, dropout_of(a));
    product(part, Lies::as_stored, down, Lies::turned, h);
  }
}

}  // namespace

void adapted_linear(Context& cx, const AdaptedLinearArgs& a) {
  const DType type = a.x.dtype();
  if (type == DType::f64) throw UnsupportedError("adapted_linear: rows of f64 on cuda; wanted f32, bf16 or f16");
  const DeviceWeight& w = device_weight("adapted_linear", a.w);
  if (a.x.dim(0) == 0) return;
  if (!a.y.defined()) {
    if (a.a->dim(0) > 0) low_rank_rows(cx, a, as_type(a.a_rows ? *a.a_rows : *a.a, type));
    return;
  }
  const LinearEpilogue& then = a.then;
  bool started = then.residual || a.bias;
  if (started && (a.bias || !same_place(*then.residual, a.y))) start_rows(then.residual, a.bias, a.y);
  if (a.a && a.a->dim(0) > 0) {
    low_rank_rows(cx, a, as_type(a.a_rows ? *a.a_rows : *a.a, type));
    product(*a.h, Lies::as_stored, as_type(a.b_rows ? *a.b_rows : *a.b, type), Lies::turned, a.y, static_cast<float>(a.scale), started);
    started = true;
  }
  if (!multiply_few(w, a.x, a.y, started)) {
    each_panel(cx, w, type, [&](int64_t row, const Tensor& rows) {
      Tensor y = a.y.columns(row, row + rows.dim(0));
      product(a.x, Lies::as_stored, rows, Lies::turned, y, 1, started);
    });
  }
  if (then.gated) cuda::swiglu(cx, SwigluArgs{*then.gate, a.y, *then.gated, then.activation});
}

}  // namespace lorikeet::cuda
