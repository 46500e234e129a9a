/// Linear on the tape: one adapted_linear forward, one adapted_linear_backward.
#include "core/nn/linear.h"

#include "core/base/random.h"
#include "core/nn/layers.h"
#include "core/ops/adapted_linear.h"
#include "core/ops/dropout_seed.h"

namespace lorikeet {
namespace {

/// A layer's adapter and mask in one call.
struct Applied {
  const FrozenWeight* weight;
  Tensor bias;  // undefined: none
  Var a, b;     // null: no adapter
  double scale, dropout;
  uint64_t seed;
  int64_t first_row;
  Tensor step;  // see AdaptedLinearArgs::dropout_step; undefined: none

  static const Tensor* rows_of(const Var& v) { return v && v->rows.defined() ? &v->rows : nullptr; }
  void run(Context& cx, const Tensor& x, Tensor& y, Tensor& h, const LinearEpilogue& then = {}) const {
    adapted_linear(cx, {.x = x,
                        .w = *weight,
                        .bias = bias.defined() ? &bias : nullptr,
                        .y = y,
                        .a = a ? &a->value : nullptr,
                        .b = b ? &b->value : nullptr,
                        .scale = scale,
                        .h = a ? &h : nullptr,
                        .dropout = dropout,
                        .dropout_seed = seed,
                        .then = then,
                        .dropout_row = first_row,
                        .dropout_step = step.defined() ? &step : nullptr,
                        .a_rows = rows_of(a),
                        .b_rows = rows_of(b)});
  }
};

/// What backward reads: x and h only with an adapter, since W itself gets no gradient.
struct Saved {
  Var x;
  Kept x_value;
  Tensor h;
  DType x_type;
};

void linear_backward(Tape& tape, const Var& out, const Applied& layer, const Saved& s) {
  const bool needs_dx = s.x->needs_grad;
  // Several layers read one x (q, k, v; gate, up): later ones add into the gradient that is already there.
  const bool add_into = needs_dx && s.x->grad.defined() && !s.x->grad_shared;
  Tensor dx;
  if (needs_dx) dx = add_into ? s.x->grad : tape.context().empty({out->grad.rows(), layer.weight->columns()}, s.x->grad_dtype);
  const bool adapted = layer.a != nullptr;
  if (!needs_dx && !adapted) return;  // only the residual stream wants a gradient
  // Without an adapter the op only needs dy; x then serves as a shape and a type, and dx is large enough for both.
  const Tensor x = adapted ? s.x_value.get(tape.context()) : Tensor::borrow(dx.raw(), dx.shape(), s.x_type, nullptr, dx.device());
  adapted_linear_backward(tape.context(), {.dy = out->grad,
                                           .x = x,
                                           .w = *layer.weight,
                                           .a = adapted ? &layer.a->value : nullptr,
                                           .b = adapted ? &layer.b->value : nullptr,
                                           .h = adapted ? &s.h : nullptr,
                                           .scale = layer.scale,
                                           .dropout = layer.dropout,
                                           .dropout_seed = layer.seed,
                                           .dx = needs_dx ? &dx : nullptr,
                                           .accumulate_dx = add_into,
                                           .da = adapted ? &tape.grad_sum(layer.a) : nullptr,
                                           .db = adapted ? &tape.grad_sum(layer.b) : nullptr,
                                           .dropout_row = layer.first_row,
                                           .dropout_step = layer.step.defined() ? &layer.step : nullptr,
                                           .a_rows = Applied::rows_of(layer.a),
                                           .b_rows = Applied::rows_of(layer.b)});
  if (needs_dx && !add_into) tape.accumulate(s.x, dx);
}

Applied applied(const Linear& layer, const LinearCall& call) {
  const LoraAdapter* adapter = layer.adapter() && layer.adapter()->enabled ? layer.adapter() : nullptr;
  Applied out{&layer.weight(), layer.bias(), nullptr, nullptr, 1.0, 0.0, 0, call.first_row, {}};
  if (!adapter) return out;
  out.a = adapter->a;
  out.b = adapter->b;
  out.scale = adapter->scale;
  out.dropout = call.training ? adapter->dropout : 0.0;
  if (out.dropout <= 0) return out;
  out.step = call.dropout_there;
  out.seed = stream_of(layer.name());  // each layer draws its own mask
  if (!out.step.defined()) out.seed = mixed_seed(call.dropout_seed, out.seed);
  return out;
}

Var run_linear(Tape& tape, const Linear& layer, const Var& x, const LinearCall& call, LinearEpilogue then) {
  const Applied run = applied(layer, call);
  const int64_t tokens = x->value.rows();
  const DType rows = x->value.dtype(), type = call.wide || call.residual ? sum_type(rows) : rows;
  Tensor y, h;
  if (call.result.wanted) y = call.result.place.defined() ? call.result.place : tape.context().empty({tokens, layer.out_features()}, type);
  if (run.a) h = tape.context().empty({tokens, run.a->value.dim(0)}, rows);
  if (call.residual && y.defined()) then.residual = &call.residual->value;
  if (run.a || y.defined()) run.run(tape.context(), x->value, y, h, then);
  Var out = tape.make(y, {x, run.a, run.b, call.residual});
  out->grad_dtype = type;
  if (!out->needs_grad) return out;
  const Saved saved{x, run.a || call.remake ? Kept(x) : Kept(), h, rows};
  if (call.remake)
    out->remake = std::make_shared<Remake>([run, kept = saved.x_value, shape = y.shape(), type, h](Context& cx) {
      Tensor again = cx.empty(shape, type), same_h = h;
      run.run(cx, kept.get(cx), again, same_h);
      return again;
    });
  tape.record(out, [out, run, saved, residual = call.residual](Tape& t) {
    linear_backward(t, out, run, saved);
    if (residual) t.accumulate(residual, out->grad, out->grad_shared);  // read for the last time: the residual's own now
  });
  return out;
}

}  // namespace

Var linear(Tape& tape, const Linear& layer, const Var& x, const LinearCall& call) { return run_linear(tape, layer, x, call, {}); }

Var gated_linear(Tape& tape, const Linear& layer, const Var& x, const Var& gate, GateActivation activation, bool remake_product, const LinearCall& call) {
  Tensor product = tape.recording() ? tape.context().empty(gate->value.shape(), gate->value.dtype()) : gate->value;
  const Var up = run_linear(tape, layer, x, call, {.gate = &gate->value, .gated = &product, .activation = activation});
  Var out = made_by_swiglu(tape, gate, up, product, activation, remake_product);
  Tape::forget(up);
  return out;
}

}  // namespace lorikeet
