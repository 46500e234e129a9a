/// The other ops of a decoder block on the tape. Each says what it keeps for its backward; together with linear.h that
/// is all a block holds between forward and backward (closed form: core/models/activation_bytes.h).
#pragma once
#include "core/autograd/tape.h"
#include "core/ops/attention.h"
#include "core/ops/frozen_weight.h"
#include "core/ops/gate_activation.h"

namespace lorikeet {

/// y[t] = table[ids[t]] in `dtype`. Frozen: keeps nothing, needs no gradient.
Var embedding(Tape& tape, const FrozenWeight& table, const Tensor& ids, DType dtype);
/// How the rows an op makes are held: their type (bf16 or f16 beside an f32 residual stream, else the type of the input), and
/// whether backward makes them again instead of keeping them.
struct RowsAs {
  DType dtype = DType::f32;
  bool remake = false;
};
/// Keeps x [T, C] and one value a row. `weight` has the type of x; the gradient too.
Var rms_norm(Tape& tape, const Var& x, const Tensor& weight, double eps, RowsAs rows);
/// The same with means taken away and a bias (undefined: none). Keeps two values a row.
Var layer_norm(Tape& tape, const Var& x, const Tensor& weight, const Tensor& bias, double eps, RowsAs rows);
/// Rotates x's own storage, so x must have no other reader; when `rows` is a 16-bit type the result, and the gradient of x, are rounded
/// copies. Keeps nothing but the shared positions and table.
Var rope(Tape& tape, const Var& x, const Tensor& positions, const Tensor& cos_sin, int64_t head_dim, DType rows);
/// How attention turns q and k, and what it sees of them then (RowsAs::dtype).
struct Rotation {
  Tensor positions;  // [T] i32
  Tensor cos_sin;    // [P, D], see RopeArgs
  DType rows = DType::f32;
};
/// Attention of q and k rotated, which takes the storage of q and k as rope does. Keeps q, k, v, o and one value per row and
/// head. Where rows are rounded, the gradients of q and k take their places; `groups` (a divisor of the key/value heads): how
/// many parts of the heads backward takes one after another, so that one part's sums of these are alive. It changes no bit
/// where heads do not share sums, as on cards.
Var rotary_attention(Tape& tape, const Var& q, const Var& k, const Var& v, const Rotation& rotation, const Tensor& document_starts, AttentionShape shape, int64_t groups = 1);
/// activation(gate) * up. Keeps gate and up (or the ways to make them again); the output replaces gate when nothing is kept.
Var swiglu(Tape& tape, const Var& gate, const Var& up, GateActivation activation = GateActivation::silu, bool remake = false);
/// The same when its result is there already.
Var made_by_swiglu(Tape& tape, const Var& gate, const Var& up, const Tensor& y, GateActivation activation, bool remake);

}  // namespace lorikeet
