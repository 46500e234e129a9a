#include "core/ops/square_sum.h"

#include "core/ops/checks.h"

namespace lorikeet {

KernelSlot<SquareSumFn>& square_sum_slot() {
  static KernelSlot<SquareSumFn> slot("square_sum");
  return slot;
}

void square_sum(Context& cx, const SquareSumArgs& a) {
  for (size_t i = 0; i < a.tensors.size(); ++i) {
    const Tensor& t = *a.tensors[i];
    const std::string name = "tensor " + std::to_string(i);
    ops::check_float("square_sum", t, name.c_str());
    if (!t.contiguous() && t.size() > 0) throw ShapeError("square_sum: " + name + ", " + to_string(t.shape()) + ", has gaps between rows");
  }
  if (a.total) {
    ops::check_type("square_sum", *a.total, "total", DType::f64);
    ops::check_shape("square_sum", *a.total, "total", {1});
  }
  square_sum_slot().run(cx, a);
}

}  // namespace lorikeet
