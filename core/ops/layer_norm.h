/// Layer norm over the last axis: y = (x - mean) / sqrt(variance + eps) * weight + bias, the variance over n, not n - 1.
/// Sums in f32 (f64 for f64) in two passes, the mean first: a mean that is large beside the deviations cancels nothing.
/// Source: Ba, Kiros & Hinton 2016, arXiv:1607.06450. Weight and bias are frozen: the gradient is for x only.
/// Twins: layer_norm_cpu.cpp, cuda/ops/layer_norm.cu.
#pragma once
#include "core/tensor/context.h"
#include "core/tensor/kernel_slot.h"

namespace lorikeet {
struct LayerNormArgs {
  const Tensor& x;       // [.., C]  f32 | f64
  const Tensor& weight;  // [C]      type of x
  const Tensor* bias;    // [C]      type of x; null: none
  Tensor& y;             // [.., C]  type of x, may be x itself; or bf16 for f32, rounded once
  Tensor* mean;          // [rows]   type of x, kept for the gradient; null, with rstd, when not training
  Tensor* rstd;          // [rows]
  double eps;            // added to the variance
};
struct LayerNormBackwardArgs {
  const Tensor& dy;      // [.., C]
  const Tensor& x;       // [.., C] the input of the forward
  const Tensor& weight;  // [C]
  const Tensor& mean;    // [rows]
  const Tensor& rstd;    // [rows]
  Tensor& dx;            // [.., C]; may be dy itself
  bool accumulate = false;  // dx is added to; it is then not dy
};
/// Throw ShapeError, DTypeError, UnsupportedError.
void layer_norm(Context& cx, const LayerNormArgs& a);
void layer_norm_backward(Context& cx, const LayerNormBackwardArgs& a);
using LayerNormFn = void (*)(Context&, const LayerNormArgs&);
using LayerNormBackwardFn = void (*)(Context&, const LayerNormBackwardArgs&);
KernelSlot<LayerNormFn>& layer_norm_slot();
KernelSlot<LayerNormBackwardFn>& layer_norm_backward_slot();
}  // namespace lorikeet
