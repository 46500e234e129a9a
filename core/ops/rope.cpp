#include "core/ops/rope.h"

#include "core/ops/checks.h"

namespace lorikeet {

KernelSlot<RopeFn>& rope_slot() {
  static KernelSlot<RopeFn> slot("rope");
  return slot;
}

void rope(Context& cx, const RopeArgs& a) {
  ops::check_float("rope", a.x, "x");
  ops::check_same_type("rope", a.x, a.cos_sin, "cos_sin");
  ops::check_i32("rope", a.positions, "positions");
  if (a.x.rank() != 2 || a.head_dim < 2 || a.head_dim % 2 != 0 || a.x.width() % a.head_dim != 0)
    throw ShapeError("rope: x " + to_string(a.x.shape()) + " with head_dim " + std::to_string(a.head_dim) + "; wanted [T, heads * D], D even");
  ops::check_shape("rope", a.positions, "positions", {a.x.rows()});
  if (a.cos_sin.rank() != 2 || a.cos_sin.width() != a.head_dim)
    throw ShapeError("rope: cos_sin " + to_string(a.cos_sin.shape()) + "; wanted [positions, " + std::to_string(a.head_dim) + "]");
  const int32_t* p = ops::indices_to_check(a.positions);
  for (int64_t t = 0; p && t < a.x.rows(); ++t)
    if (p[t] < 0 || p[t] >= a.cos_sin.rows())
      throw ShapeError("rope: position " + std::to_string(p[t]) + " at token " + std::to_string(t) + "; the table has " + std::to_string(a.cos_sin.rows()));
  if (a.rounded) {
    ops::check_type("rope", a.x, "x that is rounded", DType::f32);
    ops::check_half_row("rope", *a.rounded, "rounded");
    ops::check_shape("rope", *a.rounded, "rounded", a.x.shape());
  }
  rope_slot().run(cx, a);
}

}  // namespace lorikeet
