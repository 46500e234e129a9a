/// The end of the forward pass: output head and cross entropy over the positions that have a target. The gradient of
/// the hidden states comes out of the same pass, so the head never enters the tape; backward() starts from `d_hidden`.
#pragma once
#include <cstdint>
#include <vector>

#include "core/ops/frozen_weight.h"
#include "core/tensor/context.h"
#include "core/tensor/tensor.h"

namespace lorikeet {

/// rows[i] is the position whose hidden state predicts targets[i]. Rows are distinct and rising.
struct Targets {
  std::vector<int32_t> rows, targets;
  int64_t count() const { return static_cast<int64_t>(rows.size()); }
};
struct HeadLoss {
  double loss_sum = 0;  // nats over all targets
  Tensor d_hidden;      // [T, C], zero where there is no target; undefined when no gradient was asked for
  Tensor losses;        // [targets] when asked for
};
/// Targets that were sent to the device before: i32 [count] each, -1 in both for a place that is not used.
struct TargetsThere {
  Tensor rows, targets;
};
/// `hidden` [T, C] is released as soon as its target rows are gathered when the caller moves it in.
/// gradient_scale: d(total loss)/d(token loss). With no target at all d_hidden is zero.
HeadLoss head_loss(Context& cx, const FrozenWeight& head, Tensor hidden, const Targets& targets, bool gradient,
                   double gradient_scale, bool per_token = false);
/// Throws ShapeError unless the rows rise within `tokens` and the targets lie within the head.
void check_targets(const Targets& targets, int64_t tokens, int64_t vocabulary);
/// d_hidden for targets that are on the context's device; their losses are added to `total`, f64 [1] there. Nothing is waited for.
Tensor head_gradient(Context& cx, const FrozenWeight& head, Tensor hidden, const TargetsThere& targets, double gradient_scale, Tensor& total);

}  // namespace lorikeet
