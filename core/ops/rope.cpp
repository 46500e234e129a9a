#include "core/ops/rope.h"

#include "core/ops/op_check.h"

namespace lorikeet {

KernelSlot<RopeFn>& rope_slot() {
  static KernelSlot<RopeFn> slot("rope");
  return slot;
}

void rope(Context& cx, const RopeArgs& a) {
  const OpCheck check("rope", cx, a.x.dtype());
  check.rank("x", a.x, 2);
  check.rank("cos_sin", a.cos_sin, 2);
  check.that(a.head_dim > 0 && a.head_dim % 2 == 0 && a.x.dim(1) % a.head_dim == 0,
             "head size " + std::to_string(a.head_dim) + " must be even and divide the width " + std::to_string(a.x.dim(1)));
  check.tensor("x", a.x, a.x.shape());
  check.tensor("positions", a.positions, {a.x.dim(0)}, DType::i32);
  check.tensor("cos_sin", a.cos_sin, {a.cos_sin.dim(0), a.head_dim});
  check.indices("positions", a.positions, a.cos_sin.dim(0));
  rope_slot().get(cx.device())(cx, a);
}

}  // namespace lorikeet
