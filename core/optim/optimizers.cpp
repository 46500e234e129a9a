/// The list of optimizers. To add one: write optim/<name>.cpp with make_<name>() and add its line here.
#include <cmath>

#include "core/base/error.h"
#include "core/optim/adamw.h"
#include "core/optim/optimizer.h"

namespace lorikeet {
namespace {

template <class T>
double sum_of_squares(const Tensor& t) {
  double sum = 0;
  const T* values = t.data<T>();
  for (int64_t i = 0; i < t.size(); ++i) sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
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

double gradient_norm(const std::vector<NamedParameter>& parameters) {
  double sum = 0;
  for (const NamedParameter& p : parameters) {
    const Tensor& g = p.var->grad;
    if (!g.defined()) continue;
    if (!g.contiguous()) throw ShapeError("gradient_norm: the gradient of " + p.name + " is not contiguous");
    sum += g.dtype() == DType::f64 ? sum_of_squares<double>(g) : sum_of_squares<float>(g);
  }
  return std::sqrt(sum);
}

}  // namespace lorikeet
