/// AdamW update of several tensors, exactly as torch: p *= 1 - lr*wd; m, v moving averages; step size lr/(1-beta1^t);
/// denominator sqrt(v)/sqrt(1-beta2^t) + eps (Loshchilov & Hutter 2019, arXiv:1711.05101). Tensors do not depend on each
/// other: one call for all of them has the bits of a call each, and is one region of the pool or one launch.
#pragma once
#include <vector>

#include "core/ops/device_clip.h"
#include "core/tensor/context.h"
#include "core/tensor/kernel_slot.h"

namespace lorikeet {
struct AdamwTensors {
  Tensor& p; const Tensor& g; Tensor& m; Tensor& v;  // same shape and type, f32 | f64
};
struct AdamwUpdateArgs {
  const std::vector<AdamwTensors>& tensors;           // of any sizes; no tensor twice
  double grad_scale;                                  // multiplies g first
  double learning_rate, beta1, beta2, eps, weight_decay;
  int64_t step;                                       // t, from 1
  DeviceClip clip = {};                               // multiplies g too, by the norm of grad_scale * g
};
/// Throws ShapeError, DTypeError, UnsupportedError; nothing was changed then.
void adamw_update(Context& cx, const AdamwUpdateArgs& a);
using AdamwUpdateFn = void (*)(Context&, const AdamwUpdateArgs&);
KernelSlot<AdamwUpdateFn>& adamw_update_slot();
}  // namespace lorikeet
