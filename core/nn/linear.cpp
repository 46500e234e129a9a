/// Linear on the tape: one adapted_linear forward, one adapted_linear_backward.
#include "core/nn/linear.h"

#include "core/base/random.h"
#include "core/ops/adapted_linear.h"

namespace lorikeet {
namespace {

/// What backward reads: x and h only with an adapter, since W itself gets no gradient.
struct Saved {
  Var x, a, b;
  Tensor x_value, h;
  const FrozenWeight* weight;
  double scale, dropout;
  uint64_t seed;
};

void linear_backward(Tape& tape, const Var& out, const Saved& s) {
  const bool needs_dx = s.x->needs_grad;
  // Several layers read one x (q, k, v; gate, up): later ones add into the gradient that is already there.
  const bool add_into = needs_dx && s.x->grad.defined() && !s.x->grad_shared;
  Tensor dx;
  if (needs_dx) dx = add_into ? s.x->grad : Tensor::empty({out->grad.rows(), s.weight->columns()}, out->grad.dtype());
  const bool adapted = s.a != nullptr;
  // Without an adapter the op only needs dy; x then serves as a shape, and dx has the same.
  const Tensor& x = adapted ? s.x_value : dx;
  adapted_linear_backward(tape.context(), {.dy = out->grad,
                                           .x = x,
                                           .w = *s.weight,
                                           .a = adapted ? &s.a->value : nullptr,
                                           .b = adapted ? &s.b->value : nullptr,
                                           .h = adapted ? &s.h : nullptr,
                                           .scale = s.scale,
                                           .dropout = s.dropout,
                                           .dropout_seed = s.seed,
                                           .dx = needs_dx ? &dx : nullptr,
                                           .accumulate_dx = add_into,
                                           .da = adapted ? &tape.grad_sum(s.a) : nullptr,
                                           .db = adapted ? &tape.grad_sum(s.b) : nullptr});
  if (needs_dx && !add_into) tape.accumulate(s.x, dx);
}

/// Each layer draws its own mask from the step's seed (odd constant: golden ratio, as in splitmix64).
uint64_t layer_seed(uint64_t dropout_seed, const std::string& name) {
  return dropout_seed * 0x9E3779B97F4A7C15ull ^ stream_of(name);
}

}  // namespace

Var linear(Tape& tape, const Linear& layer, const Var& x, bool training, uint64_t dropout_seed) {
  const LoraAdapter* adapter = layer.adapter() && layer.adapter()->enabled ? layer.adapter() : nullptr;
  const int64_t tokens = x->value.rows();
  const DType dtype = x->value.dtype();
  Tensor y = Tensor::empty({tokens, layer.out_features()}, dtype), h;
  if (adapter) h = Tensor::empty({tokens, adapter->a->value.dim(0)}, dtype);
  const double dropout = adapter && training ? adapter->dropout : 0.0;
  const uint64_t seed = dropout > 0 ? layer_seed(dropout_seed, layer.name()) : 0;
  const double scale = adapter ? adapter->scale : 1.0;
  adapted_linear(tape.context(), {.x = x->value,
                                  .w = layer.weight(),
                                  .bias = layer.bias().defined() ? &layer.bias() : nullptr,
                                  .y = y,
                                  .a = adapter ? &adapter->a->value : nullptr,
                                  .b = adapter ? &adapter->b->value : nullptr,
                                  .scale = scale,
                                  .h = adapter ? &h : nullptr,
                                  .dropout = dropout,
                                  .dropout_seed = seed});
  Var out = adapter ? tape.make(y, {x, adapter->a, adapter->b}) : tape.make(y, {x});
  if (!out->needs_grad) return out;
  Saved saved{x, nullptr, nullptr, Tensor(), Tensor(), &layer.weight(), scale, dropout, seed};
  if (adapter) {
    saved.a = adapter->a;
    saved.b = adapter->b;
    saved.x_value = x->value;
    saved.h = h;
  }
  tape.record(out, [out, saved = std::move(saved)](Tape& t) { linear_backward(t, out, saved); });
  return out;
}

}  // namespace lorikeet
