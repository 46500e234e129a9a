/// Tape wrappers around the ops. Gradient buffers are reused in place wherever the incoming one is ours alone.
#include "core/nn/layers.h"

#include "core/ops/embedding.h"
#include "core/ops/rms_norm.h"
#include "core/ops/rope.h"
#include "core/ops/swiglu.h"

namespace lorikeet {
namespace {

/// Where the gradient of an op's input of the same shape as its output may be written: over the incoming gradient when
/// no other Var holds it, else into fresh memory.
Tensor gradient_buffer(const Var& out) {
  return out->grad_shared ? Tensor::empty(out->grad.shape(), out->grad.dtype(), out->grad.device()) : out->grad;
}

}  // namespace

Var embedding(Tape& tape, const FrozenWeight& table, const Tensor& ids, DType dtype) {
  Tensor y = tape.context().empty({ids.size(), table.columns()}, dtype);
  embedding(tape.context(), {.table = table, .ids = ids, .y = y});
  return tape.make(y, {});
}

Var rms_norm(Tape& tape, const Var& x, const Tensor& weight, double eps, RowsAs rows) {
  Tensor y = tape.context().empty(x->value.shape(), rows.dtype), rstd;
  const bool keep = tape.keeps({x});
  if (keep) rstd = tape.context().empty({x->value.rows()}, x->value.dtype());
  rms_norm(tape.context(), {.x = x->value, .weight = weight, .y = y, .rstd = keep ? &rstd : nullptr, .eps = eps});
  Var out = tape.make(y, {x});
  out->grad_dtype = x->value.dtype();
  if (tape.recording() && rows.remake)
    out->remake = std::make_shared<Remake>([value = x->value, weight, eps, type = rows.dtype](Context& cx) {
      Tensor again = cx.empty(value.shape(), type);
      rms_norm(cx, {.x = value, .weight = weight, .y = again, .rstd = nullptr, .eps = eps});
      return again;
    });
  if (!keep) return out;
  tape.record(out, [out, x, value = x->value, weight, rstd](Tape& t) {
    // In a block the gradient of the residual stream is there already and ours alone.
    const bool add_into = x->needs_grad && x->grad.defined() && !x->grad_shared;
    Tensor dx = add_into ? x->grad : gradient_buffer(out);
    rms_norm_backward(t.context(), {.dy = out->grad, .x = value, .weight = weight, .rstd = rstd, .dx = dx, .accumulate = add_into});
    if (!add_into) t.accumulate(x, dx);
  });
  return out;
}

Var rope(Tape& tape, const Var& x, const Tensor& positions, const Tensor& cos_sin, int64_t head_dim, DType rows) {
  Tensor y = x->value, rounded;
  const bool round = is_half_row(rows) && y.dtype() == DType::f32;
  if (round) rounded = tape.context().empty(y.shape(), rows);
  rope(tape.context(), {.x = y, .positions = positions, .cos_sin = cos_sin, .head_dim = head_dim, .inverse = false, .rounded = round ? &rounded : nullptr});
  Var out = tape.make(round ? rounded : y, {x});
  tape.record(out, [out, x, positions, cos_sin, head_dim, round, rows](Tape& t) {
    Tensor dx = out->grad_shared && !round ? out->grad.clone() : out->grad, rounded_dx;
    if (round) rounded_dx = t.context().empty(dx.shape(), rows);
    rope(t.context(), {.x = dx, .positions = positions, .cos_sin = cos_sin, .head_dim = head_dim, .inverse = true, .rounded = round ? &rounded_dx : nullptr});
    t.accumulate(x, round ? rounded_dx : dx);
  });
  Tape::forget(x);
  return out;
}

Var attention(Tape& tape, const Var& q, const Var& k, const Var& v, const Tensor& document_starts,
              AttentionShape shape) {
  const DType dtype = q->value.dtype();
  const bool keep = tape.keeps({q, k, v});
  const DType sums = sum_type(dtype);
  Tensor o = tape.context().empty(q->value.shape(), dtype), lse;
  if (keep) lse = tape.context().empty({q->value.rows(), shape.heads}, sums);
  attention(tape.context(), {.q = q->value,
                             .k = k->value,
                             .v = v->value,
                             .document_starts = document_starts,
                             .o = o,
                             .lse = keep ? &lse : nullptr,
                             .shape = shape});
  Var out = tape.make(o, {q, k, v});
  if (!keep) return out;
  tape.record(out,
              [out, q, k, v, qv = q->value, kv = k->value, vv = v->value, o, lse, document_starts, shape, sums](Tape& t) {
                Tensor dq = t.context().empty(qv.shape(), sums), dk = t.context().empty(kv.shape(), sums);
                Tensor dv = t.context().empty(vv.shape(), sums);
                attention_backward(t.context(), {.d_o = out->grad,
                                                 .q = qv,
                                                 .k = kv,
                                                 .v = vv,
                                                 .o = o,
                                                 .lse = lse,
                                                 .document_starts = document_starts,
                                                 .dq = dq,
                                                 .dk = dk,
                                                 .dv = dv,
                                                 .shape = shape});
                t.accumulate(q, dq);
                t.accumulate(k, dk);
                t.accumulate(v, dv);
              });
  return out;
}

Var swiglu(Tape& tape, const Var& gate, const Var& up, GateActivation activation, bool remake) {
  const bool keep = tape.keeps({gate, up});
  Tensor y = keep ? tape.context().empty(gate->value.shape(), gate->value.dtype()) : gate->value;
  swiglu(tape.context(), {.gate = gate->value, .up = up->value, .y = y, .activation = activation});
  return made_by_swiglu(tape, gate, up, y, activation, remake);
}

Var made_by_swiglu(Tape& tape, const Var& gate, const Var& up, const Tensor& y, GateActivation activation, bool remake) {
  Var out = tape.make(y, {gate, up});
  if (!out->needs_grad) return out;
  const Kept kept_gate(gate), kept_up(up);
  if (remake)
    out->remake = std::make_shared<Remake>([kept_gate, kept_up, activation](Context& cx) {
      const Tensor g = kept_gate.get(cx), u = kept_up.get(cx);
      Tensor again = cx.empty(g.shape(), g.dtype());
      swiglu(cx, {.gate = g, .up = u, .y = again, .activation = activation});
      return again;
    });
  tape.record(out, [out, gate, up, kept_gate, kept_up, activation](Tape& t) {
    const Tensor g = kept_gate.get(t.context()), u = kept_up.get(t.context());
    Tensor d_gate = g, d_up = u;  // the inputs are read here for the last time and make room for their gradients
    swiglu_backward(t.context(), {.dy = out->grad, .gate = g, .up = u, .d_gate = d_gate, .d_up = d_up, .activation = activation});
    t.accumulate(gate, d_gate);
    t.accumulate(up, d_up);
  });
  return out;
}

}  // namespace lorikeet
