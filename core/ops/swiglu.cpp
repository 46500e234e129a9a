#include "core/ops/swiglu.h"

#include "core/ops/checks.h"

namespace lorikeet {

KernelSlot<SwigluFn>& swiglu_slot() {
  static KernelSlot<SwigluFn> slot("swiglu");
  return slot;
}
KernelSlot<SwigluBackwardFn>& swiglu_backward_slot() {
  static KernelSlot<SwigluBackwardFn> slot("swiglu_backward");
  return slot;
}

void swiglu(Context& cx, const SwigluArgs& a) {
  ops::check_rows("swiglu", a.gate, "gate");
  ops::check_same_type("swiglu", a.gate, a.up, "up");
  ops::check_same_type("swiglu", a.gate, a.y, "y");
  ops::check_shape("swiglu", a.up, "up", a.gate.shape());
  ops::check_shape("swiglu", a.y, "y", a.gate.shape());
  swiglu_slot().run(cx, a);
}

void swiglu_backward(Context& cx, const SwigluBackwardArgs& a) {
  ops::check_rows("swiglu_backward", a.gate, "gate");
  for (const Tensor* t : {&a.dy, &a.up, static_cast<const Tensor*>(&a.d_gate), static_cast<const Tensor*>(&a.d_up)}) {
    ops::check_same_type("swiglu_backward", a.gate, *t, "an operand");
    ops::check_shape("swiglu_backward", *t, "an operand", a.gate.shape());
  }
  swiglu_backward_slot().run(cx, a);
}

}  // namespace lorikeet
