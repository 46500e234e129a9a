/// AdamW update of one tensor, exactly as torch: p *= 1 - lr*wd; m, v moving averages; step size lr/(1-beta1^t);
/// denominator sqrt(v)/sqrt(1-beta2^t) + eps (Loshchilov & Hutter 2019, arXiv:1711.05101).
#pragma once
#include "core/ops/device_clip.h"
#include "core/tensor/context.h"
#include "core/tensor/kernel_slot.h"

namespace lorikeet {
struct AdamwUpdateArgs {
  Tensor& p; const Tensor& g; Tensor& m; Tensor& v;  // same shape, f32 | f64
  double grad_scale;                                  // multiplies g first (clipping)
  double learning_rate, beta1, beta2, eps, weight_decay;
  int64_t step;                                       // t, from 1
  DeviceClip clip = {};                               // multiplies g too
};
void adamw_update(Context& cx, const AdamwUpdateArgs& a);
using AdamwUpdateFn = void (*)(Context&, const AdamwUpdateArgs&);
KernelSlot<AdamwUpdateFn>& adamw_update_slot();
}  // namespace lorikeet
