#include "core/ops/swiglu.h"

#include "core/ops/op_check.h"

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
  const OpCheck check("swiglu", cx, a.gate.dtype());
  check.rank("gate", a.gate, 2);
  check.tensor("gate", a.gate, a.gate.shape());
  check.tensor("up", a.up, a.gate.shape());
  check.tensor("y", a.y, a.gate.shape());
  swiglu_slot().get(cx.device())(cx, a);
}

void swiglu_backward(Context& cx, const SwigluBackwardArgs& a) {
  const OpCheck check("swiglu_backward", cx, a.gate.dtype());
  check.rank("gate", a.gate, 2);
  check.tensor("gate", a.gate, a.gate.shape());
  check.tensor("up", a.up, a.gate.shape());
  check.tensor("dy", a.dy, a.gate.shape());
  check.tensor("d_gate", a.d_gate, a.gate.shape());
  check.tensor("d_up", a.d_up, a.gate.shape());
  swiglu_backward_slot().get(cx.device())(cx, a);
}

}  // namespace lorikeet
