#include "core/ops/adamw_update.h"

#include "core/ops/op_check.h"

namespace lorikeet {

KernelSlot<AdamwUpdateFn>& adamw_update_slot() {
  static KernelSlot<AdamwUpdateFn> slot("adamw_update");
  return slot;
}

void adamw_update(Context& cx, const AdamwUpdateArgs& a) {
  const OpCheck check("adamw_update", cx, a.p.dtype());
  check.tensor("p", a.p, a.p.shape());
  check.tensor("g", a.g, a.p.shape());
  check.tensor("m", a.m, a.p.shape());
  check.tensor("v", a.v, a.p.shape());
  check.that(a.step >= 1, "step is " + std::to_string(a.step) + ", wanted 1 or more");
  adamw_update_slot().get(cx.device())(cx, a);
}

}  // namespace lorikeet
