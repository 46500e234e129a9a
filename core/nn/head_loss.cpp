/// Gather the target rows, fused head and loss, scatter the gradient back.
#include "core/nn/head_loss.h"

#include "core/ops/elementwise.h"
#include "core/ops/linear_cross_entropy.h"

namespace lorikeet {

HeadLoss head_loss(Context& cx, const FrozenWeight& head, Tensor hidden, const Targets& targets, bool gradient,
                   double gradient_scale, bool per_token) {
  HeadLoss result;
  const Shape shape = hidden.shape();
  const DType dtype = hidden.dtype(), sums = dtype == DType::bf16 ? DType::f32 : dtype;
  const int64_t count = targets.count();
  if (count == 0) {
    if (gradient) result.d_hidden = Tensor::zeros(shape, sums);
    return result;
  }
  const Tensor rows = Tensor::from<int32_t>(targets.rows, {count});
  const Tensor wanted = Tensor::from<int32_t>(targets.targets, {count});
  Tensor x = Tensor::empty({count, shape[1]}, dtype), dx;
  gather_rows(cx, hidden, rows, x);
  hidden = Tensor();
  if (gradient) dx = Tensor::empty(x.shape(), sums);
  if (per_token) result.losses = Tensor::empty({count}, sums);
  linear_cross_entropy(cx, {.x = x,
                            .head = head,
                            .targets = wanted,
                            .loss_sum = &result.loss_sum,
                            .losses = per_token ? &result.losses : nullptr,
                            .dx = gradient ? &dx : nullptr,
                            .gradient_scale = gradient_scale});
  x = Tensor();
  if (!gradient) return result;
  result.d_hidden = Tensor::empty(shape, sums);
  scatter_rows(cx, dx, rows, result.d_hidden);
  return result;
}

}  // namespace lorikeet
