/// The list of optimizers. To add one: write optim/<name>.cpp with make_<name>() and add its line here.
#include <cmath>

#include "core/base/error.h"
#include "core/optim/adamw.h"
#include "core/optim/optimizer.h"

namespace lorikeet {
namespace {

template <class T>
double sum_of_squares(const Tensor& t) {
  constexpr int64_t kLanes = 8;  // sums side by side, so that an addition need not wait for the one before
  double sums[kLanes] = {};
  const T* values = t.data<T>();
  const int64_t whole = t.size() / kLanes * kLanes;
  const auto add = [&](int64_t i, int64_t lane) { sums[lane] += static_cast<double>(values[i]) * static_cast<double>(values[i]); };
  for (int64_t i = 0; i < whole; i += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane) add(i + lane, lane);
  for (int64_t i = whole; i < t.size(); ++i) add(i, i - whole);
  double sum = 0;
  for (const double s : sums) sum += s;
  return sum;
}

}  // namespace

const Registry<OptimizerKind>& optimizers() {
  static const Registry<OptimizerKind> list("optimizer.name",
                                            {
                                                {"adamw", {&make_adamw, &adamw_state_bytes}},
                                                {"adamw8bit", {&make_adamw8bit, &adamw8bit_state_bytes}},
                                                {"paged_adamw", {&make_paged_adamw, &adamw_state_bytes, true}},
                                                {"paged_adamw8bit", {&make_paged_adamw8bit, &adamw8bit_state_bytes, true}},
                                            });
  return list;
}

double gradient_norm(Context& cx, const std::vector<NamedParameter>& parameters) {
  std::vector<double> sums(parameters.size(), 0);
  cx.pool().run(static_cast<int64_t>(parameters.size()), [&](int64_t i, int) {
    const NamedParameter& p = parameters[static_cast<size_t>(i)];
    const Tensor& g = p.var->grad;
    if (!g.defined()) return;
    if (!g.contiguous()) throw ShapeError("gradient_norm: the gradient of " + p.name + " is not contiguous");
    sums[static_cast<size_t>(i)] = g.dtype() == DType::f64 ? sum_of_squares<double>(g) : sum_of_squares<float>(g);
  });
  double sum = 0;
  for (const double s : sums) sum += s;
  return std::sqrt(sum);
}

}  // namespace lorikeet
