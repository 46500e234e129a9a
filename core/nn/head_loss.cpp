/// Gather the target rows, fused head and loss, scatter the gradient back.
#include "core/nn/head_loss.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/ops/elementwise.h"
#include "core/ops/linear_cross_entropy.h"

namespace lorikeet {
namespace {

/// What the ops cannot check once the indices lie on a device.
void check_targets(const Targets& t, int64_t tokens, int64_t vocabulary) {
  int32_t before = -1;
  for (size_t i = 0; i < t.rows.size(); ++i) {
    if (t.rows[i] <= before || t.rows[i] >= tokens) throw ShapeError(fmt::format("head_loss: row {} after {}, of {} tokens; rows rise", t.rows[i], before, tokens));
    if (t.targets[i] < 0 || t.targets[i] >= vocabulary) throw ShapeError(fmt::format("head_loss: target {} of row {}; the head has {}", t.targets[i], t.rows[i], vocabulary));
    before = t.rows[i];
  }
}

}  // namespace

HeadLoss head_loss(Context& cx, const FrozenWeight& head, Tensor hidden, const Targets& targets, bool gradient,
                   double gradient_scale, bool per_token, Tensor* total) {
  HeadLoss result;
  const Shape shape = hidden.shape();
  const DType dtype = hidden.dtype(), sums = sum_type(dtype);
  const int64_t count = targets.count();
  if (count == 0) {
    if (gradient) result.d_hidden = Tensor::zeros(shape, sums, cx.device());
    return result;
  }
  check_targets(targets, shape[0], head.rows());
  const Tensor rows = Tensor::from<int32_t>(targets.rows, {count}).on(cx.device());
  const Tensor wanted = Tensor::from<int32_t>(targets.targets, {count}).on(cx.device());
  Tensor x = cx.empty({count, shape[1]}, dtype), dx;
  gather_rows(cx, hidden, rows, x);
  hidden = Tensor();
  if (gradient) dx = cx.empty(x.shape(), sums);
  if (per_token) result.losses = cx.empty({count}, sums);
  linear_cross_entropy(cx, {.x = x,
                            .head = head,
                            .targets = wanted,
                            .loss_sum = total ? nullptr : &result.loss_sum,
                            .losses = per_token ? &result.losses : nullptr,
                            .dx = gradient ? &dx : nullptr,
                            .gradient_scale = gradient_scale,
                            .loss_total = total});
  x = Tensor();
  if (!gradient) return result;
  result.d_hidden = cx.empty(shape, sums);
  scatter_rows(cx, dx, rows, result.d_hidden);
  return result;
}

}  // namespace lorikeet
