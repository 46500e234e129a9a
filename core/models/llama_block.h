/// One pre-norm Llama block: x += o(attention(rope(q), rope(k), v)); x += down(silu(gate) * up), each on a norm of x
/// (Touvron et al. 2023, arXiv:2302.13971; grouped keys and values: Ainslie et al. 2023, arXiv:2305.13245).
#pragma once
#include <functional>
#include <stop_token>
#include <vector>

#include "core/models/model.h"

namespace lorikeet {

struct LlamaBlock {
  Tensor input_norm, post_attention_norm;  // [C]
  std::vector<Linear> linears;             // in the order of Place
  enum Place { q, k, v, o, gate, up, down };
};
/// What all blocks of one pass share; tensors, so that checkpointed blocks can hold it.
struct BlockInputs {
  Tensor positions;  // [T] i32
  Tensor cos_sin;    // [P, D]
  bool training = false;
  uint64_t dropout_seed = 0;
  Tensor dropout_there = {};  // see LinearCall
  DType rows = DType::f32;  // of what the linear layers read and write; the residual stream keeps its own type
  CheckpointPolicy policy = CheckpointPolicy::none;  // what backward makes again instead of keeping it
  int64_t mlp_tile = 0;  // rows that go through the MLP at a time; 0: all
};
/// Attention of q and k, which it rotates: over packed documents (training) or against caches (generation).
using AttendFn = std::function<Var(Tape&, const Var& q, const Var& k, const Var& v)>;

LlamaBlock make_llama_block(const ModelConfig& config, int64_t layer, WeightSource& source);
/// `x` is only read; the result is fresh storage.
Var llama_block_forward(Tape& tape, const LlamaBlock& block, const ModelConfig& config, const BlockInputs& in, const Var& x,
                        const AttendFn& attend);
/// cos and sin of position * w'_j for positions 0..count-1, [count, D] in `dtype` (see RopeArgs).
Tensor rope_table(const ModelConfig& config, int64_t count, DType dtype);

}  // namespace lorikeet
