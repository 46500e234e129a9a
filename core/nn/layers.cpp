/// Tape wrappers around the ops. Gradient buffers are reused in place wherever the incoming one is ours alone.
#include "core/nn/layers.h"

#include "core/ops/embedding.h"
#include "core/ops/layer_norm.h"
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

Var layer_norm(Tape& tape, const Var& x, const Tensor& weight, const Tensor& bias, double eps, RowsAs rows) {
  const auto run = [weight, bias, eps](Context& cx, const Tensor& value, Tensor& y, Tensor* mean, Tensor* rstd) {
    layer_norm(cx, {.x = value, .weight = weight, .bias = bias.defined() ? &bias : nullptr, .y = y, .mean = mean, .rstd = rstd, .eps = eps});
  };
  Tensor y = tape.context().empty(x->value.shape(), rows.dtype), mean, rstd;
  const bool keep = tape.keeps({x});
  if (keep) mean = tape.context().empty({x->value.rows()}, x->value.dtype());
  if (keep) rstd = tape.context().empty({x->value.rows()}, x->value.dtype());
  run(tape.context(), x->value, y, keep ? &mean : nullptr, keep ? &rstd : nullptr);
  Var out = tape.make(y, {x});
  out->grad_dtype = x->value.dtype();
  if (tape.recording() && rows.remake)
    out->remake = std::make_shared<Remake>([run, value = x->value, type = rows.dtype](Context& cx) {
      Tensor again = cx.empty(value.shape(), type);
      run(cx, value, again, nullptr, nullptr);
      return again;
    });
  if (!keep) return out;
  tape.record(out, [out, x, value = x->value, weight, mean, rstd](Tape& t) {
    const bool add_into = x->needs_grad && x->grad.defined() && !x->grad_shared;  // as in rms_norm
    Tensor dx = add_into ? x->grad : gradient_buffer(out);
    layer_norm_backward(t.context(), {.dy = out->grad, .x = value, .weight = weight, .mean = mean, .rstd = rstd, .dx = dx, .accumulate = add_into});
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

namespace {

/// What attention keeps for its backward.
struct Attended {
  Var q, k, v;
  Tensor q_rows, k_rows, v_rows, o, lse, document_starts;
  Rotation rotation;
  AttentionShape shape;
  int64_t groups;
};

void attention_backward(Tape& tape, const Attended& a, const Tensor& d_o) {
  const Context& cx = tape.context();
  const int64_t heads = a.shape.heads / a.groups, kv_heads = a.shape.kv_heads / a.groups, d = a.shape.head_dim, rows = d_o.rows();
  const bool round = a.q_rows.dtype() != a.lse.dtype();
  const DType sums = a.lse.dtype();
  // A group's rows of q and k are read for the last time when its sums are there, and make room for what these round to.
  Tensor dq = round ? a.q_rows : cx.empty(a.q_rows.shape(), sums), dk = round ? a.k_rows : cx.empty(a.k_rows.shape(), sums), dv = cx.empty(a.v_rows.shape(), sums);
  Tensor dq_sums = round ? cx.empty({rows, heads * d}, sums) : Tensor(), dk_sums = round ? cx.empty({rows, kv_heads * d}, sums) : Tensor();
  AttentionShape shape = a.shape;
  shape.heads = heads;
  shape.kv_heads = kv_heads;
  for (int64_t g = 0; g < a.groups; ++g) {
    const auto wide = [&](const Tensor& t) { return t.columns(g * heads * d, (g + 1) * heads * d); };
    const auto narrow = [&](const Tensor& t) { return t.columns(g * kv_heads * d, (g + 1) * kv_heads * d); };
    Tensor dq_rows = wide(dq), dk_rows = narrow(dk), dv_rows = narrow(dv);
    Tensor& dq_part = round ? dq_sums : dq_rows;
    Tensor& dk_part = round ? dk_sums : dk_rows;
    attention_backward(tape.context(), {.d_o = wide(d_o),
                                        .q = wide(a.q_rows),
                                        .k = narrow(a.k_rows),
                                        .v = narrow(a.v_rows),
                                        .o = wide(a.o),
                                        .lse = a.lse.columns(g * heads, (g + 1) * heads),
                                        .document_starts = a.document_starts,
                                        .dq = dq_part,
                                        .dk = dk_part,
                                        .dv = dv_rows,
                                        .shape = shape});
    const auto turn_back = [&](Tensor& x, Tensor& rounded) {
      rope(tape.context(), {.x = x, .positions = a.rotation.positions, .cos_sin = a.rotation.cos_sin, .head_dim = d, .inverse = true, .rounded = round ? &rounded : nullptr});
    };
    turn_back(dq_part, dq_rows);
    turn_back(dk_part, dk_rows);
  }
  tape.accumulate(a.q, dq);
  tape.accumulate(a.k, dk);
  tape.accumulate(a.v, dv);
}

}  // namespace

Var rotary_attention(Tape& tape, const Var& q, const Var& k, const Var& v, const Rotation& rotation, const Tensor& document_starts, AttentionShape shape, int64_t groups) {
  const bool keep = tape.keeps({q, k, v});
  Tape silent(tape.context(), false);  // attention's own backward turns the gradients back
  const auto turned = [&](const Var& x) { return rope(silent, x, rotation.positions, rotation.cos_sin, shape.head_dim, rotation.rows)->value; };
  const Tensor q_rows = turned(q), k_rows = turned(k);
  const DType dtype = q_rows.dtype();
  Tensor o = tape.context().empty(q_rows.shape(), dtype), lse;
  if (keep) lse = tape.context().empty({q_rows.rows(), shape.heads}, sum_type(dtype));
  attention(tape.context(), {.q = q_rows, .k = k_rows, .v = v->value, .document_starts = document_starts, .o = o, .lse = keep ? &lse : nullptr, .shape = shape});
  Var out = tape.make(o, {q, k, v});
  if (!keep) return out;
  tape.record(out, [out, a = Attended{q, k, v, q_rows, k_rows, v->value, o, lse, document_starts, rotation, shape, groups}](Tape& t) { attention_backward(t, a, out->grad); });
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
