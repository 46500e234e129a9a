/// Root-mean-square norm over the last axis: y = x / sqrt(mean(x^2) + eps) * weight. Sums in f32 (f64 for f64).
/// Source: Zhang & Sennrich 2019, arXiv:1910.07467. The weight is frozen: the gradient is for x only.
/// Twins: rms_norm_cpu.cpp, cuda/ops/rms_norm.cu.
#pragma once
#include "core/tensor/context.h"
#include "core/tensor/kernel_slot.h"

namespace lorikeet {
struct RmsNormArgs {
  const Tensor& x;       // [.., C]  f32 | f64
  const Tensor& weight;  // [C]      type of x
  Tensor& y;             // [.., C]  type of x, may be x itself; or bf16 or f16 for f32, rounded once
  Tensor* rstd;          // [rows]   type of x, kept for the gradient; null when not training
  double eps;            // added to the mean square
};
struct RmsNormBackwardArgs {
  const Tensor& dy;      // [.., C]
  const Tensor& x;       // [.., C] the input of the forward
  const Tensor& weight;  // [C]
  const Tensor& rstd;    // [rows]
  Tensor& dx;            // [.., C]; may be dy itself
  bool accumulate = false;  // dx is added to; it is then not dy
};
/// Throw ShapeError, DTypeError, UnsupportedError.
void rms_norm(Context& cx, const RmsNormArgs& a);
void rms_norm_backward(Context& cx, const RmsNormBackwardArgs& a);
using RmsNormFn = void (*)(Context&, const RmsNormArgs&);
using RmsNormBackwardFn = void (*)(Context&, const RmsNormBackwardArgs&);
KernelSlot<RmsNormFn>& rms_norm_slot();
KernelSlot<RmsNormBackwardFn>& rms_norm_backward_slot();
}  // namespace lorikeet
