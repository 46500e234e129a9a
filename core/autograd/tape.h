/// The tape: ops record themselves with their own backward; backward() runs the records in reverse order.
/// A model file therefore holds only its forward pass. Transformer blocks are the unit of gradient checkpointing.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "core/tensor/context.h"
#include "core/tensor/tensor.h"

namespace lorikeet {

/// A value on the tape. `grad` is undefined until a gradient arrives; leaves keep theirs across backward() calls, so
/// gradients of several micro-batches add up.
struct VarNode {
  Tensor value;
  Tensor grad;
  bool needs_grad = false;
};
using Var = std::shared_ptr<VarNode>;
Var make_leaf(Tensor value, bool needs_grad);

class Tape {
 public:
  /// recording = false: forward only, nothing is kept.
  Tape(Context& cx, bool recording) : cx_(cx), recording_(recording) {}
  Context& context() { return cx_; }
  bool recording() const { return recording_; }
  /// A new value on the tape made by an op; needs_grad when any input needs it and the tape records.
  Var make(Tensor value, std::initializer_list<Var> inputs);
  /// Adds the backward of the op just run. It reads out->grad and calls accumulate(). Skipped when not recording or
  /// when `out` needs no gradient.
  void record(const Var& out, std::function<void(Tape&)> backward);
  /// v.grad += g (takes g over when there is none yet). Nothing happens when v needs no gradient.
  void accumulate(const Var& v, Tensor g);
  /// Runs `block` without recording and keeps only `input`; in backward runs it again, recording, then back through
  /// it. The recomputation is bit-identical. Parameters used inside are leaves and get their gradients as usual.
  Var checkpoint(const Var& input, std::function<Var(Tape&, const Var&)> block);
  /// Starts from out->grad = seed and clears the records as it goes (memory falls as backward proceeds).
  void backward(const Var& out, Tensor seed);

 private:
  struct Record { Var out; std::function<void(Tape&)> backward; };
  Context& cx_;
  bool recording_;
  std::vector<Record> records_;
};

}  // namespace lorikeet
