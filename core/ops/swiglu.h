/// SwiGLU and GeGLU: y = activation(gate) * up (Shazeer 2020, arXiv:2002.05202).
#pragma once
#include "core/ops/gate_activation.h"
#include "core/tensor/context.h"
#include "core/tensor/kernel_slot.h"

namespace lorikeet {
struct SwigluArgs {
  const Tensor& gate;  // [T, F] f32 | f64 | bf16 | f16
  const Tensor& up;    // [T, F]
  Tensor& y;           // [T, F]; may be gate or up
  GateActivation activation = GateActivation::silu;
};
struct SwigluBackwardArgs {
  const Tensor& dy; const Tensor& gate; const Tensor& up;
  Tensor& d_gate;  // may be gate or dy
  Tensor& d_up;    // may be up
  GateActivation activation = GateActivation::silu;
};
void swiglu(Context& cx, const SwigluArgs& a);
void swiglu_backward(Context& cx, const SwigluBackwardArgs& a);
using SwigluFn = void (*)(Context&, const SwigluArgs&);
using SwigluBackwardFn = void (*)(Context&, const SwigluBackwardArgs&);
KernelSlot<SwigluFn>& swiglu_slot();
KernelSlot<SwigluBackwardFn>& swiglu_backward_slot();
}  // namespace lorikeet
