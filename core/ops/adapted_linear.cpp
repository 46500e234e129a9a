#include "core/ops/adapted_linear.h"

#include "core/ops/checks.h"

namespace lorikeet {
namespace {

std::string sizes(const Tensor& x, const FrozenWeight& w) {
  return "x " + to_string(x.shape()) + ", w [" + std::to_string(w.rows()) + ", " + std::to_string(w.columns()) + "]";
}

void check_adapter(const char* op, const Tensor& x, const FrozenWeight& w, const Tensor* a, const Tensor* b, const Tensor* h) {
  if (!a && !b && !h) return;
  if (!a || !b || !h) throw ShapeError(std::string(op) + ": a, b and h belong together");
  ops::check_type(op, *a, "a", ops::sum_type(x));
  ops::check_type(op, *b, "b", ops::sum_type(x));
  ops::check_same_type(op, x, *h, "h");
  if (a->rank() != 2 || a->width() != w.columns()) throw ShapeError(std::string(op) + ": a " + to_string(a->shape()) + " for " + sizes(x, w));
  ops::check_shape(op, *b, "b", {w.rows(), a->dim(0)});
  ops::check_shape(op, *h, "h", {x.rows(), a->dim(0)});
  if (!a->contiguous() || !b->contiguous()) throw ShapeError(std::string(op) + ": a and b must be contiguous");
}

void check_epilogue(const char* op, const AdaptedLinearArgs& a) {
  const LinearEpilogue& e = a.then;
  if (e.residual) {
    ops::check_type(op, *e.residual, "residual", ops::sum_type(a.x));
    ops::check_same_type(op, *e.residual, a.y, "y with a residual");
    ops::check_shape(op, *e.residual, "residual", a.y.shape());
  }
  if (!e.gate && !e.gated) return;
  if (!e.gate || !e.gated || e.residual) throw ShapeError(std::string(op) + ": gate and gated belong together, without a residual");
  for (const Tensor* t : {e.gate, static_cast<const Tensor*>(e.gated)}) {
    ops::check_same_type(op, a.y, *t, "gate or gated");
    ops::check_shape(op, *t, "gate or gated", a.y.shape());
  }
}

}  // namespace

KernelSlot<AdaptedLinearFn>& adapted_linear_slot() {
  static KernelSlot<AdaptedLinearFn> slot("adapted_linear");
  return slot;
}
KernelSlot<AdaptedLinearBackwardFn>& adapted_linear_backward_slot() {
  static KernelSlot<AdaptedLinearBackwardFn> slot("adapted_linear_backward");
  return slot;
}

void adapted_linear(Context& cx, const AdaptedLinearArgs& a) {
  constexpr const char* op = "adapted_linear";
  ops::check_rows(op, a.x, "x");
  if (a.y.defined()) ops::check_rows_or_sums(op, a.x, a.y, "y");
  else if (!a.h || a.then.residual || a.then.gated) throw ShapeError(std::string(op) + ": without y there is h alone to make");
  if (a.x.rank() != 2 || a.x.width() != a.w.columns()) throw ShapeError(std::string(op) + ": " + sizes(a.x, a.w) + "; wanted x [T, in], w [out, in]");
  if (a.y.defined()) ops::check_shape(op, a.y, "y", {a.x.rows(), a.w.rows()});
  if (a.bias) {
    ops::check_type(op, *a.bias, "bias", ops::sum_type(a.x));
    ops::check_shape(op, *a.bias, "bias", {a.w.rows()});
  }
  check_adapter(op, a.x, a.w, a.a, a.b, a.h);
  if (a.dropout < 0 || a.dropout >= 1) throw ShapeError(std::string(op) + ": dropout " + std::to_string(a.dropout) + "; wanted [0, 1)");
  check_epilogue(op, a);
  adapted_linear_slot().run(cx, a);
}

void adapted_linear_backward(Context& cx, const AdaptedLinearBackwardArgs& a) {
  constexpr const char* op = "adapted_linear_backward";
  ops::check_rows(op, a.x, "x");
  ops::check_rows_or_sums(op, a.x, a.dy, "dy");
  if (a.x.rank() != 2 || a.x.width() != a.w.columns()) throw ShapeError(std::string(op) + ": " + sizes(a.x, a.w) + "; wanted x [T, in], w [out, in]");
  ops::check_shape(op, a.dy, "dy", {a.x.rows(), a.w.rows()});
  check_adapter(op, a.x, a.w, a.a, a.b, a.h);
  if (a.dx) {
    ops::check_rows_or_sums(op, a.x, *a.dx, "dx");
    if (a.accumulate_dx) ops::check_type(op, *a.dx, "dx that is added to", ops::sum_type(a.x));
    ops::check_shape(op, *a.dx, "dx", a.x.shape());
  }
  if (a.a) {
    if (!a.da || !a.db) throw ShapeError(std::string(op) + ": with an adapter, da and db are wanted");
    ops::check_type(op, *a.da, "da", ops::sum_type(a.x));
    ops::check_type(op, *a.db, "db", ops::sum_type(a.x));
    ops::check_shape(op, *a.da, "da", a.a->shape());
    ops::check_shape(op, *a.db, "db", a.b->shape());
  }
  adapted_linear_backward_slot().run(cx, a);
}

}  // namespace lorikeet
