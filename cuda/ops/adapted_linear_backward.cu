// Linear layer over a stored weight with a low-rank adapter, backward (kernels.md 2.1): u = scale dy B once, then
// dx = mask(u A) + dy W, dA += u^T x~, dB += scale dy^T h. No gradient for the weight.
//
// Rounding on rows of bf16 or f16: dy is rounded once where it comes in f32, u is rounded, the adapter's part of dx comes first and
// the base is added to it, as in the forward pass; dA and dB are added to in f32. Where the weight comes in several panels,
// dx is summed in f32 and rounded once. Dropout: the mask is drawn again, from row and column alone; x~ is a masked copy,
// made for a stretch of rows at a time. Sums run in an order that depends on the shapes alone: deterministic.
#include "core/base/error.h"
#include "cuda/ops/linear_parts.h"
#include "cuda/ops/twins.h"

namespace lorikeet::cuda {
namespace {

/// sum (+)= mask(u A)
void adapter_part(Context& cx, const AdaptedLinearBackwardArgs& a, const Tensor& u, const Tensor& down, Tensor& sum) {
  if (a.dropout <= 0 || !a.accumulate_dx) {
    product(u, Lies::as_stored, down, Lies::as_stored, sum, 1, a.accumulate_dx);
    if (a.dropout > 0) drop_rows(sum, sum, a.dropout_row, dropout_of(a));
    return;
  }
  const int64_t tokens = a.x.dim(0), stretch = masked_rows(a.x);
  Tensor part = cx.empty({std::min(tokens, stretch), a.x.width()}, a.x.dtype());
  for (int64_t t = 0; t < tokens; t += stretch) {
    const int64_t end = std::min(tokens, t + stretch);
    Tensor some = part.slice(0, end - t), to = sum.slice(t, end);
    product(u.slice(t, end), Lies::as_stored, down, Lies::as_stored, some);
    add_dropped_rows(some, to, a.dropout_row + t, dropout_of(a));
  }
}

void input_gradient(Context& cx, const AdaptedLinearBackwardArgs& a, const DeviceWeight& w, const Tensor& dy, const Tensor* u, const Tensor& down) {
  const bool in_parts = panel_rows(w, a.x.dtype()) < w.rows() && a.dx->dtype() != DType::f32;
  Tensor sum = in_parts ? cx.empty(a.dx->shape()) : *a.dx;
  bool started = a.accumulate_dx;
  if (u) {
    adapter_part(cx, a, *u, down, sum);
    started = true;
  } else if (w.rows() == 0 && !started) {
    start_rows(nullptr, nullptr, sum);
  }
  each_panel(cx, w, a.x.dtype(), [&](int64_t row, const Tensor& rows) {
    product(dy.columns(row, row + rows.dim(0)), Lies::as_stored, rows, Lies::as_stored, sum, 1, started);
    started = true;
  });
  if (in_parts) convert_rows(sum, *a.dx);
}

void adapter_gradients(Context& cx, const AdaptedLinearBackwardArgs& a, const Tensor& dy, const Tensor& u) {
  product(dy, Lies::turned, *a.h, Lies::as_stored, *a.db, static_cast<float>(a.scale), true);
  if (a.dropout <= 0) return product(u, Lies::turned, a.x, Lies::as_stored, *a.da, 1, true);
  const int64_t tokens = a.x.dim(0), stretch = masked_rows(a.x);
  Tensor masked = cx.empty({std::min(tokens, stretch), a.x.width()}, a.x.dtype());
  for (int64_t t = 0; t < tokens; t += stretch) {
    const int64_t end = std::min(tokens, t + stretch);
    Tensor part = masked.slice(0, end - t);
    drop_rows(a.x.slice(t, end), part, a.dropout_row + t, dropout_of(a));
    product(u.slice(t, end), Lies::turned, part, Lies::as_stored, *a.da, 1, true);
  }
}

}  // namespace

void adapted_linear_backward(Context& cx, const AdaptedLinearBackwardArgs& a) {
  const DType type = a.x.dtype();
  if (type == DType::f64) throw UnsupportedError("adapted_linear_backward: rows of f64 on cuda; wanted f32, bf16 or f16");
  const DeviceWeight& w = device_weight("adapted_linear_backward", a.w);
  if (a.x.dim(0) == 0) return;
  const Tensor dy = as_type(a.dy, type);
  const bool adapter = a.a && a.a->dim(0) > 0;
  Tensor u, down;
  if (adapter) {
    u = cx.empty({a.x.dim(0), a.a->dim(0)}, type);
    product(dy, Lies::as_stored, as_type(a.b_rows ? *a.b_rows : *a.b, type), Lies::as_stored, u, static_cast<float>(a.scale));
    if (a.dx) down = as_type(a.a_rows ? *a.a_rows : *a.a, type);
  }
  if (a.dx) input_gradient(cx, a, w, dy, adapter ? &u : nullptr, down);
  if (adapter) adapter_gradients(cx, a, dy, u);
}

}  // namespace lorikeet::cuda
