/// The arithmetic a training step needs by its formulas, whatever it is really computed with: what the model costs, not
/// what a memory policy computes again. A multiply-add counts as two.
///
/// With T tokens, P weights of a linear [out, in], R its adapter's rank, D = heads * head_dim, C the width, V vocabulary:
///   linear        2 T P forward, 2 T P for dX. Weights are frozen: there is no dW. The first block's q, k and v need no
///                 dX, since nothing before them is trained.
///   adapter       2 T R (in + out) forward; backward 2 T R (in + out) for dA and dB, 2 T R out for dH, 2 T R in for dX
///   attention     causal, one row of L tokens: 2 L^2 D forward (half of the two full products), twice that backward
///                 (dV, dP, dQ, dK; computing the scores again is not counted)
///   head          2 T V C forward, 2 T V C for the gradient of the hidden states; every token is a target
/// Norms, activations and the optimizer are left out: below one percent.
#pragma once
#include <cstdint>
#include <vector>

#include "core/models/model.h"

namespace lorikeet::bench {

struct StepFlops {
  double linears = 0, adapters = 0, attention = 0, head = 0;
  double total() const { return linears + adapters + attention + head; }
};
/// `rows` rows of `tokens` tokens, each one document; every linear has an adapter of `rank`.
StepFlops step_flops(const ModelConfig& config, int64_t rank, int64_t tokens, int64_t rows);

}  // namespace lorikeet::bench
