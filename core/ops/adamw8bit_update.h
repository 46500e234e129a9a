/// AdamW update of several tensors whose moments are held in 8 bits: blocks of 256 elements with an f32 maximum each, first
/// moments coded by the signed dynamic map, second ones by the unsigned one (Dettmers et al. 2022, arXiv:2110.02861).
/// Moments are decoded, updated in f32, used for the step, and coded again; formula of the step: adamw_update.h.
/// Codes and maxima are bit-equal to those of bitsandbytes 0.50 on a CPU and the same on every CPU level; parameters
/// differ from its by the square root, which is correctly rounded here. As with adamw_update.h, one call for several
/// tensors has the bits of a call each.
#pragma once
#include <vector>

#include "core/ops/device_clip.h"
#include "core/tensor/context.h"
#include "core/tensor/kernel_slot.h"

namespace lorikeet {

constexpr int64_t kMomentBlock = 256;

struct Adamw8bitTensors {
  Tensor& p; const Tensor& g;                  // same shape, f32
  Tensor& m_codes; Tensor& v_codes;            // shape of p, u8
  Tensor& m_absmax; Tensor& v_absmax;          // [ceil(size / 256)], f32
};
struct Adamw8bitUpdateArgs {
  const std::vector<Adamw8bitTensors>& tensors;  // of any sizes; no tensor twice
  double grad_scale;                             // multiplies g first
  double learning_rate, beta1, beta2, eps, weight_decay;
  int64_t step;                                  // t, from 1
  DeviceClip clip = {};                          // multiplies g too, by the norm of grad_scale * g
};
/// Throws ShapeError, DTypeError, UnsupportedError; nothing was changed then. Finite gradients are the caller's duty.
void adamw8bit_update(Context& cx, const Adamw8bitUpdateArgs& a);
using Adamw8bitUpdateFn = void (*)(Context&, const Adamw8bitUpdateArgs&);
KernelSlot<Adamw8bitUpdateFn>& adamw8bit_update_slot();

}  // namespace lorikeet
