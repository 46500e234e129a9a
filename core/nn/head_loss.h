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
/// `hidden` [T, C] is released as soon as its target rows are gathered when the caller moves it in.
/// gradient_scale: d(total loss)/d(token loss). With no target at all d_hidden is zero.
/// `total`: f64 [1] on the context's device; the sum is added to it instead of being waited for, loss_sum stays 0.
HeadLoss head_loss(Context& cx, const FrozenWeight& head, Tensor hidden, const Targets& targets, bool gradient,
                   double gradient_scale, bool per_token = false, Tensor* total = nullptr);

}  // namespace lorikeet
