#include "core/ops/layer_norm.h"

#include "core/ops/checks.h"

namespace lorikeet {

KernelSlot<LayerNormFn>& layer_norm_slot() {
  static KernelSlot<LayerNormFn> slot("layer_norm");
  return slot;
}
KernelSlot<LayerNormBackwardFn>& layer_norm_backward_slot() {
  static KernelSlot<LayerNormBackwardFn> slot("layer_norm_backward");
  return slot;
}

void layer_norm(Context& cx, const LayerNormArgs& a) {
  ops::check_float("layer_norm", a.x, "x");
  ops::check_same_type("layer_norm", a.x, a.weight, "weight");
  if (a.x.dtype() == DType::f32 && is_half_row(a.y.dtype())) ops::check_half_row("layer_norm", a.y, "y");
  else ops::check_same_type("layer_norm", a.x, a.y, "y");
  if (a.x.shape().empty() || a.y.shape() != a.x.shape() || a.weight.shape() != Shape{a.x.width()})
    throw ShapeError("layer_norm: x " + to_string(a.x.shape()) + ", weight " + to_string(a.weight.shape()) + ", y " + to_string(a.y.shape()) +
                     "; wanted x == y and weight == [last of x]");
  if (a.bias) {
    ops::check_same_type("layer_norm", a.x, *a.bias, "bias");
    ops::check_shape("layer_norm", *a.bias, "bias", {a.x.width()});
  }
  if (!a.mean != !a.rstd) throw ShapeError("layer_norm: mean and rstd are kept together or not at all");
  if (a.rstd) {
    ops::check_same_type("layer_norm", a.x, *a.mean, "mean");
    ops::check_same_type("layer_norm", a.x, *a.rstd, "rstd");
    ops::check_shape("layer_norm", *a.mean, "mean", {a.x.rows()});
    ops::check_shape("layer_norm", *a.rstd, "rstd", {a.x.rows()});
  }
  layer_norm_slot().run(cx, a);
}

void layer_norm_backward(Context& cx, const LayerNormBackwardArgs& a) {
  ops::check_float("layer_norm_backward", a.x, "x");
  for (const Tensor* t : {&a.dy, &a.weight, &a.mean, &a.rstd, static_cast<const Tensor*>(&a.dx)}) ops::check_same_type("layer_norm_backward", a.x, *t, "an operand");
  ops::check_shape("layer_norm_backward", a.dy, "dy", a.x.shape());
  ops::check_shape("layer_norm_backward", a.dx, "dx", a.x.shape());
  ops::check_shape("layer_norm_backward", a.weight, "weight", {a.x.width()});
  ops::check_shape("layer_norm_backward", a.mean, "mean", {a.x.rows()});
  ops::check_shape("layer_norm_backward", a.rstd, "rstd", {a.x.rows()});
  layer_norm_backward_slot().run(cx, a);
}

}  // namespace lorikeet
