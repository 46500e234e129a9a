/// The closed form of activation memory; see activation_bytes.h.
#include "core/models/activation_bytes.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/ops/attention_parts.h"

namespace lorikeet {
namespace {

constexpr int64_t kSum = 4;  // bytes of the residual stream, of gradients that are summed, of softmax sums

/// Widths and ranks of one block; all results are bytes per token.
struct BlockForm {
  int64_t c, f, q, k, heads;
  const int64_t* ranks;  // q k v o gate up down
  int64_t row;           // bytes of a number in the rows that linear layers read and write
  CheckpointPolicy policy;
  int64_t parts;         // of dq, which the kernel on bf16 rows sums at the end

  bool rounded() const { return row < kSum; }
  bool again() const { return policy == CheckpointPolicy::norms_swiglu || policy == CheckpointPolicy::mlp; }
  bool adapted(int i) const { return ranks[i] > 0; }
  /// What the attention half keeps; `grad`: the block's input needs a gradient. Without the input x itself.
  int64_t attention_saved(bool grad) const {
    int64_t n = grad ? kSum : 0;
    // A norm made again is made from x, which is counted by the caller when it needs a gradient.
    if (adapted(0) || adapted(1) || adapted(2)) n += !again() ? c * row : grad ? 0 : c * kSum;
    n += (ranks[0] + ranks[1] + ranks[2] + ranks[3]) * row;
    if (attention_kept(grad)) n += (2 * q + 2 * k) * row + heads * kSum;
    else if (adapted(3)) n += q * row;
    return n;
  }
  int64_t mlp_saved(bool grad) const {
    const bool middle = middle_needs(grad), halves = halves_need(grad);
    int64_t n = middle ? (c + 1) * kSum : 0;
    if (adapted(4) || adapted(5)) n += !again() ? c * row : middle ? 0 : c * kSum;
    n += (ranks[4] + ranks[5] + ranks[6]) * row;
    // A half without a gradient of its own has no way to be made again.
    if (halves)
      for (int i : {4, 5})
        if (policy != CheckpointPolicy::mlp || !(middle || adapted(i))) n += f * row;
    if (adapted(6) && !(again() && halves)) n += f * row;
    return n;
  }
  bool attention_kept(bool grad) const { return grad || adapted(0) || adapted(1) || adapted(2); }
  bool middle_needs(bool grad) const { return attention_kept(grad) || adapted(3); }
  bool output_needs(bool grad) const { return middle_needs(grad) || adapted(4) || adapted(5) || adapted(6); }
  bool halves_need(bool grad) const { return middle_needs(grad) || adapted(4) || adapted(5); }
  /// What backward makes again for SwiGLU's own backward: gate and up, from the norm.
  int64_t halves_again(bool grad) const { return policy == CheckpointPolicy::mlp && halves_need(grad) ? (2 * f + c) * row : 0; }
  /// Most that is alive in the backward of this block above what was saved before it. The gradient of the output and
  /// that of the MLP's product stand beside all the block has saved; later the MLP's part is gone and the gradients of
  /// q, k, v and o stand beside the rest. The kernels add a row of the rank (linear; twice more in bf16, turned for the
  /// adapter's gradients) or one value a head (attention), and in bf16 a rounded copy of the gradient.
  int64_t backward_peak(bool grad) const {
    const int64_t attention = attention_saved(grad), copies = rounded() ? 3 : 1;
    const int64_t product_again = adapted(6) && again() && halves_need(grad) ? f * row + halves_again(grad) : 0;
    const int64_t in_down = (rounded() ? c * row : 0) + ranks[6] * row * copies + product_again;
    const int64_t in_mlp = attention + mlp_saved(grad) + c * kSum + f * row + std::max(in_down, halves_again(grad));
    const int64_t in_attention = attention + c * kSum + q * row + (q + 2 * k) * kSum + heads * kSum * (rounded() ? 2 : 1) + parts;
    return std::max(in_mlp, in_attention);
  }
  /// The same for a block that is run again first: its output is made while the output's gradient waits.
  int64_t recompute_peak(bool grad) const {
    const int64_t made = attention_saved(grad) + mlp_saved(grad) + 2 * c * kSum + (adapted(6) ? 0 : f * row);
    return std::max(made, backward_peak(grad));
  }
};

}  // namespace

ActivationBytes activation_bytes(const ModelConfig& config, const std::vector<int64_t>& ranks, CheckpointPolicy policy,
                                 ComputeType compute, int64_t tokens, int64_t longest, int64_t targets) {
  if (static_cast<int64_t>(ranks.size()) != config.layers * 7)
    throw ShapeError("activation_bytes: " + std::to_string(ranks.size()) + " ranks for " +
                     std::to_string(config.layers * 7) + " linear layers");
  const int64_t c = config.hidden_size, row = static_cast<int64_t>(dtype_bytes(row_type(compute)));
  const bool full = repeats_blocks(policy);
  int64_t parts = 0;  // bytes per token, as if all documents were as long as the longest: shorter ones have less
  if (row < kSum && longest > 0) parts = (attention_part_bytes(longest, config.heads, config.kv_heads, config.head_dim) + longest - 1) / longest;
  bool grad = false;  // whether the input of the block at hand needs a gradient
  int64_t saved = 0, recompute = 0, last = 0;
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    const BlockForm block{c,
                          config.intermediate_size,
                          config.heads * config.head_dim,
                          config.kv_heads * config.head_dim,
                          config.heads,
                          ranks.data() + layer * 7,
                          row,
                          policy,
                          parts};
    const bool input_needs = full ? layer > 0 : grad;
    if (full) {
      saved += c * kSum;  // x alone; the block is run again in backward
      recompute = std::max(recompute, block.recompute_peak(input_needs));
    } else {
      const int64_t own = block.attention_saved(grad) + block.mlp_saved(grad);
      saved += (grad ? c * kSum : 0) + own;
      last = block.backward_peak(grad) - own;
    }
    grad = full || block.output_needs(grad);
  }
  const int64_t final_norm = grad ? (c + 1) * kSum : 0;
  const auto bytes = [&](int64_t per_token, int64_t per_target) { return static_cast<uint64_t>(per_token * tokens + per_target * targets); };
  ActivationBytes out;
  out.saved = bytes(saved + final_norm, 0);
  // The head holds the hidden states and the rows with a target, then those rows and their gradient, then that and its
  // place among all rows.
  const uint64_t head = std::max({bytes(c * row, c * row), bytes(0, c * (row + kSum)), bytes(c * kSum, c * kSum)}) + bytes(0, 2 * kSum);
  out.peak = std::max(out.saved + head, bytes(saved + (full ? recompute : last), 0));
  return out;
}

}  // namespace lorikeet
