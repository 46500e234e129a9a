/// The closed form of activation memory; see activation_bytes.h.
#include "core/models/activation_bytes.h"

#include <algorithm>

#include "core/base/error.h"

namespace lorikeet {
namespace {

constexpr uint64_t kElementBytes = 4;

/// Widths and ranks of one block; all results are elements per token.
struct BlockForm {
  int64_t c, f, q, k, heads;
  const int64_t* ranks;  // q k v o gate up down

  bool adapted(int i) const { return ranks[i] > 0; }
  /// What the attention half keeps; `grad`: the block's input needs a gradient. Without the input x itself.
  int64_t attention_saved(bool grad) const {
    int64_t n = grad ? 1 : 0;
    if (adapted(0) || adapted(1) || adapted(2)) n += c;
    n += ranks[0] + ranks[1] + ranks[2] + ranks[3];
    if (attention_kept(grad))
      n += 2 * q + 2 * k + heads;
    else if (adapted(3))
      n += q;
    return n;
  }
  int64_t mlp_saved(bool grad) const {
    const bool middle = middle_needs(grad);
    int64_t n = middle ? c + 1 : 0;
    if (adapted(4) || adapted(5)) n += c;
    n += ranks[4] + ranks[5] + ranks[6];
    if (middle || adapted(4) || adapted(5)) n += 2 * f;
    if (adapted(6)) n += f;
    return n;
  }
  bool attention_kept(bool grad) const { return grad || adapted(0) || adapted(1) || adapted(2); }
  bool middle_needs(bool grad) const { return attention_kept(grad) || adapted(3); }
  bool output_needs(bool grad) const { return middle_needs(grad) || adapted(4) || adapted(5) || adapted(6); }
  /// Most elements alive in the backward of this block above what was saved before it. The gradient of the output and
  /// that of the MLP's product stand beside all the block has saved; later the MLP's part is gone and the gradients of
  /// q, k, v and o stand beside the rest. The kernels add a row of the rank (linear) or one value a head (attention).
  int64_t backward_peak(bool grad) const {
    const int64_t attention = attention_saved(grad);
    const int64_t in_mlp = attention + mlp_saved(grad) + c + f + ranks[6];
    const int64_t in_attention = attention + c + 2 * q + 2 * k + heads;
    return std::max(in_mlp, in_attention);
  }
  /// The same for a block that is run again first: its output is made while the output's gradient waits.
  int64_t recompute_peak(bool grad) const {
    const int64_t made = attention_saved(grad) + mlp_saved(grad) + 2 * c + (adapted(6) ? 0 : f);
    return std::max(made, backward_peak(grad));
  }
};

}  // namespace

ActivationBytes activation_bytes(const ModelConfig& config, const std::vector<int64_t>& ranks, CheckpointPolicy policy,
                                 int64_t tokens, int64_t targets) {
  if (static_cast<int64_t>(ranks.size()) != config.layers * 7)
    throw ShapeError("activation_bytes: " + std::to_string(ranks.size()) + " ranks for " +
                     std::to_string(config.layers * 7) + " linear layers");
  const int64_t c = config.hidden_size;
  const bool full = policy == CheckpointPolicy::full;
  bool grad = false;  // whether the input of the block at hand needs a gradient
  int64_t saved = 0, recompute = 0, last = 0;
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    const BlockForm block{c,
                          config.intermediate_size,
                          config.heads * config.head_dim,
                          config.kv_heads * config.head_dim,
                          config.heads,
                          ranks.data() + layer * 7};
    const bool input_needs = full ? layer > 0 : grad;
    if (full) {
      saved += c;  // x alone; the block is run again in backward
      recompute = std::max(recompute, block.recompute_peak(input_needs));
    } else {
      const int64_t own = block.attention_saved(grad) + block.mlp_saved(grad);
      saved += (grad ? c : 0) + own;
      last = block.backward_peak(grad) - own;
    }
    grad = full || block.output_needs(grad);
  }
  const int64_t final_norm = grad ? c + 1 : 0;
  const int64_t backward = saved + (full ? recompute : last);
  const auto bytes = [&](int64_t per_token, int64_t per_target) {
    return static_cast<uint64_t>(per_token * tokens + per_target * targets) * kElementBytes;
  };
  ActivationBytes out;
  out.saved = bytes(saved + final_norm, 0);
  // The head holds the hidden states and the rows with a target, then those rows and their gradient.
  const uint64_t head = std::max(bytes(saved + final_norm + c, c), bytes(saved + final_norm, 2 * c)) + bytes(0, 2);
  out.peak = std::max(head, bytes(backward, 0));
  return out;
}

}  // namespace lorikeet
