/// Linear layer over a frozen weight with an optional low-rank adapter: y = x W^T + bias + scale * (x~ A^T) B^T with
/// x~ = dropout(x) (Hu et al. 2021, arXiv:2106.09685; QLoRA: Dettmers et al. 2023, arXiv:2305.14314).
/// The weight is decoded in panels of rows into scratch, never as a whole matrix. Backward (kernels.md 2.1 order):
/// u = scale * dy B; dA += u^T x~; dB += scale * dy^T (x~ A^T); dx = dy W + mask(u A). No gradient for W.
#pragma once
#include "core/ops/frozen_weight.h"
#include "core/ops/gate_activation.h"
#include "core/tensor/context.h"
#include "core/tensor/kernel_slot.h"

namespace lorikeet {
/// What is done with y besides, while a block of it is in the cache: the same bits as the ops `add` and `swiglu` after it.
struct LinearEpilogue {
  const Tensor* residual = nullptr;  // [T, out] type of the sums, as y then is: y = residual + the layer
  // With this layer as `up`: gated = activation(gate) * y.
  const Tensor* gate = nullptr;      // [T, out] type of y
  Tensor* gated = nullptr;           // [T, out] type of y; may be gate
  GateActivation activation = GateActivation::silu;
};
struct AdaptedLinearArgs {
  const Tensor& x;        // [T, in] f32 | f64 | bf16 | f16; beside 16-bit rows a, b, bias and their gradients are f32
  const FrozenWeight& w;  // [out, in]
  const Tensor* bias;     // [out] or null
  Tensor& y;              // [T, out], overwritten; type of x, or f32. Undefined: h alone is made, with the same bits
  // Adapter: all null or all set.
  const Tensor* a;        // [R, in]
  const Tensor* b;        // [out, R]
  double scale;
  Tensor* h;              // [T, R] x~ A^T, kept for the gradient; required with an adapter
  double dropout;         // 0: x~ = x; else inverted dropout, mask = f(seed, row, column)
  uint64_t dropout_seed;
  LinearEpilogue then = {};
  int64_t dropout_row = 0;  // number of x's first row, where x is a stretch of the rows that the mask is drawn for
  // On a device: i32 [2], the words of the step's number, low one first; the seed is then mixed_seed() of it and dropout_seed
  // (core/ops/dropout_seed.h). For recorded work, which finds each step's there.
  const Tensor* dropout_step = nullptr;
  // a and b in the type of 16-bit rows, where the caller has them; a device else makes them at each call.
  const Tensor* a_rows = nullptr;
  const Tensor* b_rows = nullptr;
};
struct AdaptedLinearBackwardArgs {
  const Tensor& dy;       // [T, out] type of x, or f32
  const Tensor& x;        // [T, in]
  const FrozenWeight& w;
  const Tensor* a; const Tensor* b; const Tensor* h;
  double scale, dropout;
  uint64_t dropout_seed;
  Tensor* dx;             // [T, in] type of x or f32; overwritten, or f32 and added to with accumulate_dx; null: not needed
  bool accumulate_dx;
  Tensor* da;             // [R, in] added to; null without adapter
  Tensor* db;             // [out, R] added to
  int64_t dropout_row = 0;
  const Tensor* dropout_step = nullptr;
  const Tensor* a_rows = nullptr; const Tensor* b_rows = nullptr;
};
void adapted_linear(Context& cx, const AdaptedLinearArgs& a);
void adapted_linear_backward(Context& cx, const AdaptedLinearBackwardArgs& a);
using AdaptedLinearFn = void (*)(Context&, const AdaptedLinearArgs&);
using AdaptedLinearBackwardFn = void (*)(Context&, const AdaptedLinearBackwardArgs&);
KernelSlot<AdaptedLinearFn>& adapted_linear_slot();
KernelSlot<AdaptedLinearBackwardFn>& adapted_linear_backward_slot();
}  // namespace lorikeet
