/// How much memory the activations of a training pass take, in closed form, for the planner and for choosing the
/// checkpointing policy. It mirrors what core/nn keeps for backward; activation_bytes_test.cpp holds it against the arena.
#pragma once
#include <cstdint>
#include <vector>

#include "core/models/model.h"
#include "core/tensor/cpu_level.h"

namespace lorikeet {

struct ActivationBytes {
  uint64_t saved = 0;  // kept from forward to backward when the loss begins
  uint64_t peak = 0;   // most that is alive at once, `saved` included
};
struct ActivationPass {
  int64_t tokens = 0;
  int64_t longest = 0;  // tokens of the longest document
  int64_t targets = 0;  // tokens that have a target
  bool on_card = false;
  int64_t mlp_tile = kMlpTile;
};
/// `ranks` holds the
/// adapter rank of each matrix of linear_shapes(config), 0 for none. Not in here: weights, adapters, their gradients and
/// optimizer state, and the kernels' scratch (Context::scratch_bytes).
///
/// Per token and block with every linear adapted and no checkpointing, in elements, with Q = heads * head_dim,
/// K = kv_heads * head_dim, C, F the widths: x C, norm C, q Q, k K, v K, o Q, middle C, norm C, gate F, up F, product F,
/// one h of the adapter's rank for each linear, `heads` softmax sums and 2 norm factors:
/// 4 C + 2 Q + 2 K + 3 F + sum of ranks + heads + 2, each 4 bytes. Computing in 16 bits takes 2 bytes for all but x, middle
/// and the sums and factors. Policy norms+swiglu drops both norms and the product, mlp gate and up too; full keeps x. With
/// offload a card holds the x of the block at work and the next one to come.
ActivationBytes activation_bytes(const ModelConfig& config, const std::vector<int64_t>& ranks, CheckpointPolicy policy,
                                 ComputeType compute, const ActivationPass& pass);

}  // namespace lorikeet
