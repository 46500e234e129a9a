/// Linear: a frozen weight in any format, an optional bias, and by method an adapter.
#pragma once
#include <memory>
#include <string>

#include "core/autograd/tape.h"
#include "core/ops/frozen_weight.h"
#include "core/ops/gate_activation.h"

namespace lorikeet {

/// y += scale * dropout(x) A^T B^T (Hu et al. 2021, arXiv:2106.09685). A [R, in], B [out, R], f32, trained.
struct LoraAdapter {
  Var a, b;
  float scale = 1;
  float dropout = 0;
  bool enabled = true;
};

class Linear {
 public:
  Linear(std::string name, FrozenWeightPtr weight, Tensor bias) : name_(std::move(name)), weight_(std::move(weight)), bias_(std::move(bias)) {}
  /// Module name as PEFT and transformers know it: "model.layers.0.self_attn.q_proj".
  const std::string& name() const { return name_; }
  const FrozenWeight& weight() const { return *weight_; }
  const FrozenWeightPtr& shared_weight() const { return weight_; }
  /// Another form of the same weight.
  void set_weight(FrozenWeightPtr weight) { weight_ = std::move(weight); }
  const Tensor& bias() const { return bias_; }  // undefined when there is none
  int64_t in_features() const { return weight_->columns(); }
  int64_t out_features() const { return weight_->rows(); }
  LoraAdapter* adapter() { return adapter_.get(); }
  const LoraAdapter* adapter() const { return adapter_.get(); }
  void set_adapter(std::unique_ptr<LoraAdapter> adapter) { adapter_ = std::move(adapter); }

 private:
  std::string name_;
  FrozenWeightPtr weight_;
  Tensor bias_;
  std::unique_ptr<LoraAdapter> adapter_;
};

/// The op on the tape: y = x W^T (+ bias) (+ adapter). The dropout mask is f(dropout_seed, layer name, row, column).
/// Kept for backward: x (or the way to make it again) and h [T, R] when the layer has an adapter that is on (layers that
/// read the same x keep it once between them), nothing otherwise.
struct LinearCall {
  bool training = false;
  uint64_t dropout_seed = 0;
  Tensor dropout_there = {};  // its words where the device has them: dropout_seed is not read then
  bool wide = false;    // 16-bit rows give sums in f32: for a reader that rounds once itself
  bool remake = false;  // backward makes y again from x
  Var residual = nullptr;  // y = residual + the layer, in the residual's type; not together with remake
  int64_t first_row = 0;   // number of x's first row among those that masks are drawn for
  BlockResult result = {}; // for the last op of a block; where y is not wanted, only what backward keeps is made
};
Var linear(Tape& tape, const Linear& layer, const Var& x, const LinearCall& call);
/// activation(gate) * up with up = layer(x): what linear() and swiglu() make one after the other, in one pass over up.
/// `remake_product`: backward makes the product again from gate and up.
Var gated_linear(Tape& tape, const Linear& layer, const Var& x, const Var& gate, GateActivation activation, bool remake_product, const LinearCall& call);

}  // namespace lorikeet
