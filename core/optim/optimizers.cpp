/// The list of optimizers. To add one: write optim/<name>.cpp with make_<name>() and add its line here.
#include <cmath>

#include "core/base/error.h"
#include "core/ops/square_sum.h"
#include "core/optim/adamw.h"
#include "core/optim/optimizer.h"

namespace lorikeet {

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

namespace {

std::vector<const Tensor*> gradients_of(const std::vector<NamedParameter>& parameters) {
  std::vector<const Tensor*> gradients;
  for (const NamedParameter& p : parameters) {
    const Tensor& g = p.var->grad;
    if (g.defined() && !g.contiguous()) throw ShapeError("gradient_norm: the gradient of " + p.name + " is not contiguous");
    if (g.defined()) gradients.push_back(&g);
  }
  return gradients;
}

}  // namespace

double gradient_norm(Context& cx, const std::vector<NamedParameter>& parameters) {
  double sum = 0;
  square_sum(cx, {.tensors = gradients_of(parameters), .sum = &sum});
  return std::sqrt(sum);
}

void gradient_square_sum(Context& cx, const std::vector<NamedParameter>& parameters, Tensor& total) {
  square_sum(cx, {.tensors = gradients_of(parameters), .sum = nullptr, .total = &total});
}

}  // namespace lorikeet
