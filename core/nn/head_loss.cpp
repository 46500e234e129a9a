/// Gather the target rows, fused head and loss, scatter the gradient back.
#include "core/nn/head_loss.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/ops/elementwise.h"
#include "core/ops/linear_cross_entropy.h"

namespace lorikeet {
namespace {

struct Wanted {
  bool gradient, per_token;
  double gradient_scale;
  Tensor* total;
};

/// `targets` on the context's device.
HeadLoss run(Context& cx, const FrozenWeight& head, Tensor hidden, const TargetsThere& targets, const Wanted& w) {
  HeadLoss result;
  const Shape shape = hidden.shape();
  const DType dtype = hidden.dtype(), sums = sum_type(dtype);
  const int64_t count = targets.rows.size();
  Tensor x = cx.empty({count, shape[1]}, dtype), dx;
  gather_rows(cx, hidden, targets.rows, x);
  hidden = Tensor();
  if (w.gradient) dx = cx.empty(x.shape(), sums);
  if (w.per_token) result.losses = cx.empty({count}, sums);
  linear_cross_entropy(cx, {.x = x,
                            .head = head,
                            .targets = targets.targets,
                            .loss_sum = w.total ? nullptr : &result.loss_sum,
                            .losses = w.per_token ? &result.losses : nullptr,
                            .dx = w.gradient ? &dx : nullptr,
                            .gradient_scale = w.gradient_scale,
                            .loss_total = w.total});
  x = Tensor();
  if (!w.gradient) return result;
  result.d_hidden = cx.empty(shape, sums);
  scatter_rows(cx, dx, targets.rows, result.d_hidden);
  return result;
}

}  // namespace

void check_targets(const Targets& t, int64_t tokens, int64_t vocabulary) {
  int32_t before = -1;
  for (size_t i = 0; i < t.rows.size(); ++i) {
    if (t.rows[i] <= before || t.rows[i] >= tokens) throw ShapeError(fmt::format("head_loss: row {} after {}, of {} tokens; rows rise", t.rows[i], before, tokens));
    if (t.targets[i] < 0 || t.targets[i] >= vocabulary) throw ShapeError(fmt::format("head_loss: target {} of row {}; the head has {}", t.targets[i], t.rows[i], vocabulary));
    before = t.rows[i];
  }
}

HeadLoss head_loss(Context& cx, const FrozenWeight& head, Tensor hidden, const Targets& targets, bool gradient,
                   double gradient_scale, bool per_token) {
  const int64_t count = targets.count();
  if (count == 0) {
    HeadLoss nothing;
    if (gradient) nothing.d_hidden = Tensor::zeros(hidden.shape(), sum_type(hidden.dtype()), cx.device());
    return nothing;
  }
  check_targets(targets, hidden.shape()[0], head.rows());
  const auto sent = [&](const std::vector<int32_t>& values) { return Tensor::from<int32_t>(values, {count}).on(cx.device()); };
  return run(cx, head, std::move(hidden), {sent(targets.rows), sent(targets.targets)}, {gradient, per_token, gradient_scale, nullptr});
}

Tensor head_gradient(Context& cx, const FrozenWeight& head, Tensor hidden, const TargetsThere& targets, double gradient_scale, Tensor& total) {
  return run(cx, head, std::move(hidden), targets, {true, false, gradient_scale, &total}).d_hidden;
}

}  // namespace lorikeet
