/// The tape: ops record themselves with their own backward; backward() runs the records in reverse order.
/// A model file therefore holds only its forward pass. Transformer blocks are the unit of gradient checkpointing.
///
/// Memory: a backward closure captures the very tensors it needs (never a Var for its value), so forget() may drop a
/// Var's value as soon as the forward pass has no more use for it, and a record's memory goes when it has run.
#pragma once
#include <functional>
#include <initializer_list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "core/tensor/away.h"
#include "core/tensor/context.h"
#include "core/tensor/tensor.h"

namespace lorikeet {

/// A value that backward makes again instead of keeping it: made when the first reader asks, gone with the last reader.
/// The recomputation is the same op on the same input, so it gives the same bits.
class Remake {
 public:
  explicit Remake(std::function<Tensor(Context&)> make) : make_(std::move(make)) {}
  const Tensor& get(Context& cx) {
    if (!value_.defined()) value_ = make_(cx);
    return value_;
  }

 private:
  std::function<Tensor(Context&)> make_;
  Tensor value_;
};

/// A value on the tape. `grad` is undefined until a gradient arrives; leaves keep theirs across backward() calls, so
/// gradients of several micro-batches add up.
struct VarNode {
  Tensor value;
  Tensor grad;
  bool needs_grad = false;
  bool grad_shared = false;  // grad's storage also belongs to another Var: it may be read, not written
  Tensor rows;                      // the value in a 16-bit type, while whoever made it keeps it up to date; else undefined
  DType grad_dtype = DType::f32;    // what an op that reads the value makes its gradient in
  std::shared_ptr<Remake> remake;   // set when backward shall make the value again
};
using Var = std::shared_ptr<VarNode>;
/// What a backward closure holds of an input's value: the tensor, or the way to make it again.
class Kept {
 public:
  Kept() = default;
  explicit Kept(const Var& v) : value_(v->remake ? Tensor() : v->value), remake_(v->remake) {}
  Tensor get(Context& cx) const { return remake_ ? remake_->get(cx) : value_; }

 private:
  Tensor value_;
  std::shared_ptr<Remake> remake_;
};
Var make_leaf(Tensor value, bool needs_grad);

/// Gradients of parameters apart from the parameters, so that several tapes can go over one model at once. Holds an entry
/// (undefined at first) for each parameter; gradients of these go here instead of into the Var.
using GradientStore = std::unordered_map<const VarNode*, Tensor>;

/// What becomes of the value that a block's last op makes.
struct BlockResult {
  bool wanted = true;  // false: a block is run again for its gradients, and nobody reads its end
  Tensor place;        // where it is to lie; undefined: in fresh memory
};

class Tape {
 public:
  /// recording = false: forward only, nothing is kept.
  Tape(Context& cx, bool recording, GradientStore* store = nullptr) : cx_(cx), recording_(recording), store_(store) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;
  Context& context() { return cx_; }
  bool recording() const { return recording_; }
  /// For the last op of a checkpointed block, which may make use of it: any other way to give a result is right too.
  const BlockResult& result() const { return result_; }
  /// True when the tape records and any input needs a gradient: then an op must keep what its backward reads.
  bool keeps(std::initializer_list<Var> inputs) const;
  /// A new value on the tape made by an op; needs_grad when any input needs it and the tape records.
  Var make(Tensor value, std::initializer_list<Var> inputs);
  /// Adds the backward of the op just run. It reads out->grad and calls accumulate(). Skipped when not recording or
  /// when `out` needs no gradient. When it runs, out->value is gone already: capture tensors.
  void record(const Var& out, std::function<void(Tape&)> backward);
  /// v.grad += g. Takes g over (g may be overwritten later) unless `shared`. Nothing happens when v needs no gradient.
  void accumulate(const Var& v, Tensor g, bool shared = false);
  /// The gradient tensor of `v` to add into directly, made of zeros when there is none yet (parameters).
  Tensor& grad_sum(const Var& v);
  /// Drops the value of an intermediate result that no later op reads (see the head comment).
  static void forget(const Var& v) { v->value = Tensor(); }
  /// Runs `block` without recording and keeps only `input`; in backward runs it again, recording, then back through
  /// it. The recomputation is bit-identical. Parameters used inside are leaves and get their gradients as usual.
  /// With `away` the input waits in host memory; then nobody else may hold it.
  Var checkpoint(const Var& input, std::function<Var(Tape&, const Var&)> block, std::shared_ptr<AwayQueue> away = nullptr);
  /// The same for a block that takes each row by itself and gives rows like its input's: it is run over `tile` rows at a time
  /// (`first`: the number of the first), so that one tile's values are alive at once, forward and backward. Gradients of
  /// parameters add up from the first tile to the last. The gradient of the input takes the place of the result's.
  Var checkpoint_rows(const Var& input, int64_t tile, std::function<Var(Tape&, const Var& rows, int64_t first)> block, const BlockResult& result = {});
  /// Starts from out->grad = seed (taken over) and clears the records as it goes (memory falls as backward proceeds).
  void backward(const Var& out, Tensor seed);
  size_t records() const { return records_.size(); }

 private:
  using RowsBlock = std::function<Var(Tape&, const Var&, int64_t)>;
  void rows_backward(const Var& out, const Var& input, const Tensor& value, int64_t tile, const RowsBlock& block);
  struct Record { Var out; std::function<void(Tape&)> backward; };
  void run_records();
  Tensor* stored(const Var& v);
  Context& cx_;
  bool recording_;
  GradientStore* store_;
  BlockResult result_;
  std::vector<Record> records_;
};

}  // namespace lorikeet
