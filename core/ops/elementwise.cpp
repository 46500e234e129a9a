#include "core/ops/elementwise.h"

#include <vector>

#include "core/ops/op_check.h"

namespace lorikeet {

KernelSlot<ElementwiseFn>& elementwise_slot() {
  static KernelSlot<ElementwiseFn> slot("elementwise");
  return slot;
}

void add(Context& cx, const Tensor& a, const Tensor& b, Tensor& y) {
  const OpCheck check("add", cx, a.dtype());
  check.tensor("a", a, a.shape());
  check.tensor("b", b, a.shape());
  check.tensor("y", y, a.shape());
  elementwise_slot().get(cx.device())->add(cx, a, b, y);
}

void add_scaled(Context& cx, Tensor& y, const Tensor& x, double s) {
  const OpCheck check("add_scaled", cx, y.dtype());
  check.tensor("y", y, y.shape());
  check.tensor("x", x, y.shape());
  elementwise_slot().get(cx.device())->add_scaled(cx, y, x, s);
}

void gather_rows(Context& cx, const Tensor& x, const Tensor& rows, Tensor& y) {
  const OpCheck check("gather_rows", cx, x.dtype());
  check.rank("x", x, 2);
  check.rank("rows", rows, 1);
  check.tensor("x", x, x.shape());
  check.tensor("rows", rows, rows.shape(), DType::i32);
  check.tensor("y", y, {rows.dim(0), x.dim(1)});
  check.indices("rows", rows, x.dim(0));
  elementwise_slot().get(cx.device())->gather_rows(cx, x, rows, y);
}

void scatter_rows(Context& cx, const Tensor& x, const Tensor& rows, Tensor& y) {
  const OpCheck check("scatter_rows", cx, x.dtype());
  check.rank("x", x, 2);
  check.rank("y", y, 2);
  check.tensor("rows", rows, {x.dim(0)}, DType::i32);
  check.tensor("x", x, {x.dim(0), y.dim(1)});
  check.tensor("y", y, y.shape());
  check.indices("rows", rows, y.dim(0));
  if (cx.device() == DeviceType::cpu) {
    std::vector<bool> taken(static_cast<size_t>(y.dim(0)));
    for (int64_t i = 0; i < rows.size(); ++i) {
      const auto at = static_cast<size_t>(rows.data<int32_t>()[i]);
      check.that(!taken[at], "rows names row " + std::to_string(at) + " twice");
      taken[at] = true;
    }
  }
  elementwise_slot().get(cx.device())->scatter_rows(cx, x, rows, y);
}

}  // namespace lorikeet
