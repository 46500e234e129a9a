#include "core/ops/adamw_update.h"

#include "core/ops/checks.h"

namespace lorikeet {

KernelSlot<AdamwUpdateFn>& adamw_update_slot() {
  static KernelSlot<AdamwUpdateFn> slot("adamw_update");
  return slot;
}

void adamw_update(Context& cx, const AdamwUpdateArgs& a) {
  for (const AdamwTensors& e : a.tensors) {
    ops::check_float("adamw_update", e.p, "p");
    for (const Tensor* t : {&e.g, static_cast<const Tensor*>(&e.m), static_cast<const Tensor*>(&e.v)}) {
      ops::check_same_type("adamw_update", e.p, *t, "an operand");
      ops::check_shape("adamw_update", *t, "an operand", e.p.shape());
      if (!t->contiguous() || !e.p.contiguous()) throw ShapeError("adamw_update: operands with gaps between rows");
    }
  }
  if (a.step < 1) throw ShapeError("adamw_update: step " + std::to_string(a.step) + "; steps count from 1");
  ops::check_clip("adamw_update", a.clip);
  with_clip(cx, a, [&](const auto& args) { adamw_update_slot().run(cx, args); });
}

}  // namespace lorikeet
