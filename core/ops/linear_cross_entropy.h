/// Output head and cross entropy together over target tokens only, in chunks: never more than one chunk of logits.
/// loss_sum = sum over rows of (logsumexp(x W^T) - (x W^T)[target]); dx = weight_of_loss * (softmax - onehot) W.
/// The head is frozen. The gradient is computed in the forward pass, since the chunk of logits is at hand.
#pragma once
#include "core/ops/frozen_weight.h"
#include "core/tensor/context.h"
#include "core/tensor/kernel_slot.h"

namespace lorikeet {
struct LinearCrossEntropyArgs {
  const Tensor& x;          // [N, C] f32 | f64 | bf16 | f16: hidden states of the positions that have a target (gathered)
  const FrozenWeight& head; // [V, C]
  const Tensor& targets;    // [N] i32 in [0, V): checked; on a device -1 stands for none (no loss, no gradient)
  double* loss_sum;         // sum of token losses, in f64, or null; on a device this waits for it
  Tensor* losses;           // [N] per token, type of x (f32 for 16-bit rows), or null
  Tensor* dx;               // [N, C] type of x (f32 for 16-bit rows), or null: no gradient
  double gradient_scale;    // d(total)/d(token loss), for example 1 / target tokens of the optimizer step
  Tensor* loss_total = nullptr;  // f64 [1] on the context's device: the sum is added to it
};
void linear_cross_entropy(Context& cx, const LinearCrossEntropyArgs& a);
using LinearCrossEntropyFn = void (*)(Context&, const LinearCrossEntropyArgs&);
KernelSlot<LinearCrossEntropyFn>& linear_cross_entropy_slot();
}  // namespace lorikeet
