#include "core/ops/rms_norm.h"

#include "core/ops/checks.h"

namespace lorikeet {

KernelSlot<RmsNormFn>& rms_norm_slot() {
  static KernelSlot<RmsNormFn> slot("rms_norm");
  return slot;
}
KernelSlot<RmsNormBackwardFn>& rms_norm_backward_slot() {
  static KernelSlot<RmsNormBackwardFn> slot("rms_norm_backward");
  return slot;
}

void rms_norm(Context& cx, const RmsNormArgs& a) {
  ops::check_float("rms_norm", a.x, "x");
  ops::check_same_type("rms_norm", a.x, a.weight, "weight");
  if (a.x.dtype() == DType::f32 && is_half_row(a.y.dtype())) ops::check_half_row("rms_norm", a.y, "y");
  else ops::check_same_type("rms_norm", a.x, a.y, "y");
  if (a.x.shape().empty() || a.y.shape() != a.x.shape() || a.weight.shape() != Shape{a.x.width()})
    throw ShapeError("rms_norm: x " + to_string(a.x.shape()) + ", weight " + to_string(a.weight.shape()) + ", y " + to_string(a.y.shape()) +
                     "; wanted x == y and weight == [last of x]");
  if (a.rstd) {
    ops::check_same_type("rms_norm", a.x, *a.rstd, "rstd");
    ops::check_shape("rms_norm", *a.rstd, "rstd", {a.x.rows()});
  }
  rms_norm_slot().run(cx, a);
}

void rms_norm_backward(Context& cx, const RmsNormBackwardArgs& a) {
  ops::check_float("rms_norm_backward", a.x, "x");
  for (const Tensor* t : {&a.dy, &a.weight, &a.rstd, static_cast<const Tensor*>(&a.dx)}) ops::check_same_type("rms_norm_backward", a.x, *t, "an operand");
  ops::check_shape("rms_norm_backward", a.dy, "dy", a.x.shape());
  ops::check_shape("rms_norm_backward", a.dx, "dx", a.x.shape());
  ops::check_shape("rms_norm_backward", a.weight, "weight", {a.x.width()});
  ops::check_shape("rms_norm_backward", a.rstd, "rstd", {a.x.rows()});
  rms_norm_backward_slot().run(cx, a);
}

}  // namespace lorikeet
