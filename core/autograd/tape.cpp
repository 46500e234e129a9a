/// Running the tape; see tape.h for the rules on who owns a gradient.
#include "core/autograd/tape.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/ops/elementwise.h"

namespace lorikeet {

Var make_leaf(Tensor value, bool needs_grad) {
  auto node = std::make_shared<VarNode>();
  node->grad_dtype = value.dtype();
  node->value = std::move(value);
  node->needs_grad = needs_grad;
  return node;
}

bool Tape::keeps(std::initializer_list<Var> inputs) const {
  return recording_ && std::any_of(inputs.begin(), inputs.end(), [](const Var& v) { return v && v->needs_grad; });
}

Var Tape::make(Tensor value, std::initializer_list<Var> inputs) { return make_leaf(std::move(value), keeps(inputs)); }

void Tape::record(const Var& out, std::function<void(Tape&)> backward) {
  if (recording_ && out->needs_grad) records_.push_back({out, std::move(backward)});
}

void Tape::accumulate(const Var& v, Tensor g, bool shared) {
  if (!v->needs_grad) return;
  if (Tensor* sum = stored(v)) {
    if (sum->defined()) add(cx_, *sum, g, *sum);
    else *sum = shared ? g.clone() : std::move(g);
    return;
  }
  if (!v->grad.defined()) {
    v->grad = std::move(g);
    v->grad_shared = shared;
    return;
  }
  if (!v->grad_shared) {
    add(cx_, v->grad, g, v->grad);
    return;
  }
  // The sum goes into whichever tensor is ours alone; the order of a two-term sum does not change its bits.
  Tensor sum = shared ? Tensor::empty(g.shape(), g.dtype(), g.device()) : g;
  add(cx_, v->grad, g, sum);
  v->grad = std::move(sum);
  v->grad_shared = false;
}

Tensor& Tape::grad_sum(const Var& v) {
  Tensor* apart = stored(v);
  Tensor& sum = apart ? *apart : v->grad;
  if (!sum.defined()) sum = Tensor::zeros(v->value.shape(), v->value.dtype(), v->value.device());
  return sum;
}

Tensor* Tape::stored(const Var& v) {
  if (!store_) return nullptr;
  const auto it = store_->find(v.get());
  return it == store_->end() ? nullptr : &it->second;
}

Var Tape::checkpoint(const Var& input, std::function<Var(Tape&, const Var&)> block, std::shared_ptr<AwayQueue> away) {
  if (!recording_) return block(*this, input);
  Tape silent(cx_, false);
  // Whether parameters are used inside is not known without recording, so the output always asks for a gradient.
  Var out = make_leaf(block(silent, make_leaf(input->value, false))->value, true);
  const size_t number = away ? away->send(input->value) : 0;
  record(out, [out, input, value = away ? Tensor() : input->value, away, number, block = std::move(block)](Tape& tape) {
    Tape again(tape.context(), true, tape.store_);
    again.result_.wanted = false;
    Var start = make_leaf(away ? away->take(number) : value, input->needs_grad);
    Var end = block(again, start);
    if (!end->needs_grad) return;
    forget(end);
    end->grad = std::exchange(out->grad, Tensor());
    end->grad_shared = out->grad_shared;
    again.run_records();
    if (start->grad.defined()) tape.accumulate(input, start->grad, start->grad_shared);
  });
  return out;
}

Var Tape::checkpoint_rows(const Var& input, int64_t tile, RowsBlock block, const BlockResult& result) {
  const int64_t rows = input->value.rows();
  Tensor all;
  if (result.wanted) {
    all = result.place.defined() ? result.place : Tensor::empty(input->value.shape(), input->value.dtype(), input->value.device());
    for (int64_t first = 0; first < rows; first += tile) {
      const int64_t end = std::min(rows, first + tile);
      Tape silent(cx_, false);
      silent.result_.place = all.slice(first, end);
      const Var made = block(silent, make_leaf(input->value.slice(first, end), false), first);
      if (made->value.raw() != silent.result_.place.raw()) silent.result_.place.copy_from(made->value);
    }
  }
  Var out = make_leaf(all, recording_);
  out->grad_dtype = input->value.dtype();
  record(out, [out, input, value = input->value, tile, block = std::move(block)](Tape& tape) { tape.rows_backward(out, input, value, tile, block); });
  return out;
}

void Tape::rows_backward(const Var& out, const Var& input, const Tensor& value, int64_t tile, const RowsBlock& block) {
  const Tensor grad = std::exchange(out->grad, Tensor());
  const bool wanted = input->needs_grad, in_place = !out->grad_shared && grad.dtype() == value.dtype();
  Tensor sum;
  if (wanted) sum = in_place ? grad : Tensor::empty(value.shape(), value.dtype(), value.device());
  for (int64_t first = 0; first < value.rows(); first += tile) {
    const int64_t end = std::min(value.rows(), first + tile);
    Tape again(cx_, true, store_);
    again.result_.wanted = false;
    const Var start = make_leaf(value.slice(first, end), wanted);
    const Var last = block(again, start, first);
    Tensor place = wanted ? sum.slice(first, end) : Tensor();
    if (last->needs_grad) {
      forget(last);
      last->grad = grad.slice(first, end);
      last->grad_shared = out->grad_shared;
      again.run_records();
    }
    if (!wanted) continue;
    if (!start->grad.defined()) place.fill(0);
    else if (start->grad.raw() != place.raw()) place.copy_from(start->grad);
  }
  if (wanted) accumulate(input, std::move(sum));
}

void Tape::backward(const Var& out, Tensor seed) {
  if (!recording_) throw RunError("backward on a tape that does not record");
  if (!out->needs_grad) {
    records_.clear();
    return;
  }
  out->grad = std::move(seed);
  out->grad_shared = false;
  run_records();
}

void Tape::run_records() {
  while (!records_.empty()) {
    Record record = std::move(records_.back());
    records_.pop_back();
    forget(record.out);
    record.out->remake.reset();  // all its readers have run
    if (record.out->grad.defined()) record.backward(*this);
    record.out->grad = Tensor();
  }
}

}  // namespace lorikeet
