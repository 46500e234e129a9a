#include "core/ops/linear_cross_entropy.h"

#include "core/ops/checks.h"

namespace lorikeet {

KernelSlot<LinearCrossEntropyFn>& linear_cross_entropy_slot() {
  static KernelSlot<LinearCrossEntropyFn> slot("linear_cross_entropy");
  return slot;
}

void linear_cross_entropy(Context& cx, const LinearCrossEntropyArgs& a) {
  constexpr const char* op = "linear_cross_entropy";
  ops::check_rows(op, a.x, "x");
  ops::check_i32(op, a.targets, "targets");
  if (a.x.rank() != 2 || a.x.width() != a.head.columns())
    throw ShapeError(std::string(op) + ": x " + to_string(a.x.shape()) + ", head [" + std::to_string(a.head.rows()) + ", " + std::to_string(a.head.columns()) + "]");
  ops::check_shape(op, a.targets, "targets", {a.x.rows()});
  const int32_t* targets = ops::indices_to_check(a.targets);
  for (int64_t i = 0; targets && i < a.x.rows(); ++i)
    if (targets[i] < 0 || targets[i] >= a.head.rows())
      throw ShapeError(std::string(op) + ": target " + std::to_string(targets[i]) + " in row " + std::to_string(i) + "; the head has " + std::to_string(a.head.rows()));
  if (a.loss_total) {
    ops::check_type(op, *a.loss_total, "loss_total", DType::f64);
    ops::check_shape(op, *a.loss_total, "loss_total", {1});
  }
  if (a.losses) {
    ops::check_type(op, *a.losses, "losses", ops::sum_type(a.x));
    ops::check_shape(op, *a.losses, "losses", {a.x.rows()});
  }
  if (a.dx) {
    ops::check_type(op, *a.dx, "dx", ops::sum_type(a.x));
    ops::check_shape(op, *a.dx, "dx", a.x.shape());
  }
  linear_cross_entropy_slot().run(cx, a);
}

}  // namespace lorikeet
