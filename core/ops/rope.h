/// Rotary position embedding in place, half-split pairing (Hugging Face order): dimension j pairs with j + D/2.
/// Source: Su et al. 2021, arXiv:2104.09864. Backward is the same op with `inverse`.
#pragma once
#include "core/tensor/context.h"
#include "core/tensor/kernel_slot.h"

namespace lorikeet {
struct RopeArgs {
  Tensor& x;                // [T, heads * D] f32 | f64, rotated in place
  const Tensor& positions;  // [T] i32
  const Tensor& cos_sin;    // [P, D] type of x: cos of the D/2 angles, then sin; row = position
  int64_t head_dim;         // D, even
  bool inverse;             // true: rotate back (gradient)
  Tensor* rounded = nullptr;  // [T, heads * D] bf16 | f16: gets the result, rounded once; x (f32) stays as it is
};
void rope(Context& cx, const RopeArgs& a);
using RopeFn = void (*)(Context&, const RopeArgs&);
KernelSlot<RopeFn>& rope_slot();
}  // namespace lorikeet
