#include "core/ops/elementwise.h"

#include <vector>

#include "core/ops/checks.h"

namespace lorikeet {

KernelSlot<ElementwiseFn>& elementwise_slot() {
  static KernelSlot<ElementwiseFn> slot("elementwise");
  return slot;
}

void add(Context& cx, const Tensor& a, const Tensor& b, Tensor& y) {
  ops::check_float("add", a, "a");
  ops::check_same_type("add", a, b, "b");
  ops::check_same_type("add", a, y, "y");
  ops::check_shape("add", b, "b", a.shape());
  ops::check_shape("add", y, "y", a.shape());
  const auto* kernels = elementwise_slot().get(cx.device());
  const OpClock::Timed timed("add");
  kernels->add(cx, a, b, y);
}

void add_scaled(Context& cx, Tensor& y, const Tensor& x, double s) {
  ops::check_float("add_scaled", y, "y");
  ops::check_same_type("add_scaled", y, x, "x");
  ops::check_shape("add_scaled", x, "x", y.shape());
  const auto* kernels = elementwise_slot().get(cx.device());
  const OpClock::Timed timed("add_scaled");
  kernels->add_scaled(cx, y, x, s);
}

namespace {
void check_rows(const char* op, const Tensor& all, const Tensor& rows, const Tensor& some) {
  ops::check_rows(op, all, "x");
  ops::check_same_type(op, all, some, "y");
  ops::check_i32(op, rows, "rows");
  if (all.rank() != 2) throw ShapeError(std::string(op) + ": " + to_string(all.shape()) + "; wanted [T, C]");
  ops::check_shape(op, some, "the gathered rows", {rows.size(), all.width()});
  const int32_t* r = ops::indices_to_check(rows);
  for (int64_t i = 0; r && i < rows.size(); ++i)
    if (r[i] < 0 || r[i] >= all.rows()) throw ShapeError(std::string(op) + ": row " + std::to_string(r[i]) + " of " + std::to_string(all.rows()));
}
}  // namespace

void gather_rows(Context& cx, const Tensor& x, const Tensor& rows, Tensor& y) {
  check_rows("gather_rows", x, rows, y);
  const auto* kernels = elementwise_slot().get(cx.device());
  const OpClock::Timed timed("gather_rows");
  kernels->gather_rows(cx, x, rows, y);
}

void scatter_rows(Context& cx, const Tensor& x, const Tensor& rows, Tensor& y) {
  check_rows("scatter_rows", y, rows, x);
  std::vector<bool> taken(static_cast<size_t>(y.rows()));  // a row named twice would be written by two threads at once
  const int32_t* named = ops::indices_to_check(rows);
  for (int64_t i = 0; named && i < rows.size(); ++i) {
    const auto r = static_cast<size_t>(named[i]);
    if (taken[r]) throw ShapeError("scatter_rows: row " + std::to_string(r) + " is named twice");
    taken[r] = true;
  }
  const auto* kernels = elementwise_slot().get(cx.device());
  const OpClock::Timed timed("scatter_rows");
  kernels->scatter_rows(cx, x, rows, y);
}

void round_values(Context& cx, const Tensor& x, Tensor& y) {
  ops::check_type("round_values", x, "x", DType::f32);
  ops::check_half_row("round_values", y, "y");
  ops::check_shape("round_values", y, "y", x.shape());
  if (!x.contiguous() || !y.contiguous()) throw ShapeError("round_values: rows with gaps");
  const auto* kernels = elementwise_slot().get(cx.device());
  const OpClock::Timed timed("round_values");
  kernels->round_values(cx, x, y);
}

}  // namespace lorikeet
