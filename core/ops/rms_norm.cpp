#include "core/ops/rms_norm.h"

#include "core/ops/op_check.h"

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
  const OpCheck check("rms_norm", cx, a.x.dtype());
  check.that(a.x.rank() >= 1 && a.x.dim(-1) > 0, "x is " + to_string(a.x.shape()) + ", wanted [.., C] with C > 0");
  check.tensor("x", a.x, a.x.shape());
  check.tensor("weight", a.weight, {a.x.width()});
  check.tensor("y", a.y, a.x.shape());
  if (a.rstd) check.tensor("rstd", *a.rstd, {a.x.rows()});
  rms_norm_slot().get(cx.device())(cx, a);
}

void rms_norm_backward(Context& cx, const RmsNormBackwardArgs& a) {
  const OpCheck check("rms_norm_backward", cx, a.x.dtype());
  check.that(a.x.rank() >= 1 && a.x.dim(-1) > 0, "x is " + to_string(a.x.shape()) + ", wanted [.., C] with C > 0");
  check.tensor("x", a.x, a.x.shape());
  check.tensor("dy", a.dy, a.x.shape());
  check.tensor("weight", a.weight, {a.x.width()});
  check.tensor("rstd", a.rstd, {a.x.rows()});
  check.tensor("dx", a.dx, a.x.shape());
  rms_norm_backward_slot().get(cx.device())(cx, a);
}

}  // namespace lorikeet
