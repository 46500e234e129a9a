/// The closed form of activation memory; see activation_bytes.h.
#include "core/models/activation_bytes.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/ops/attention_parts.h"

namespace lorikeet {
namespace {

constexpr int64_t kSum = 4;  // bytes of the residual stream, of gradients that are summed, of softmax sums

/// Bytes that grow with the tokens, and with the rows of a tile.
struct Share {
  int64_t per_token, per_row = 0;
};

/// Widths and ranks of one block; results are bytes per token unless they say otherwise.
struct BlockForm {
  int64_t c, f, q, k, heads;
  const int64_t* ranks;  // q k v o gate up down
  int64_t row;           // bytes of a number in the rows that linear layers read and write
  CheckpointPolicy policy;
  int64_t parts;         // of dq, which the CPU's kernel on bf16 rows sums at the end
  int64_t groups;        // of heads, in attention's backward
  bool tiled;            // the MLP takes a tile of rows at a time

  bool rounded() const { return row < kSum; }
  bool again() const { return policy == CheckpointPolicy::norms_swiglu || policy == CheckpointPolicy::mlp; }
  bool adapted(int i) const { return ranks[i] > 0; }
  bool reads_norm() const { return adapted(0) || adapted(1) || adapted(2); }
  /// What the attention half keeps; `grad`: the block's input needs a gradient. Without the input x itself.
  int64_t attention_saved(bool grad) const {
    int64_t n = grad ? kSum : 0;
    // A norm made again is made from x, which is counted by the caller when it needs a gradient or is kept anyway.
    if (reads_norm() && policy == CheckpointPolicy::none) n += c * row;
    if (reads_norm() && again() && !grad) n += c * kSum;
    n += (ranks[0] + ranks[1] + ranks[2] + ranks[3]) * row;
    if (attention_kept(grad)) n += (2 * q + 2 * k) * row + heads * kSum;
    else if (adapted(3)) n += q * row;
    return n;
  }
  int64_t mlp_saved(bool grad) const { return (middle_needs(grad) ? c * kSum : 0) + mlp_made(grad); }
  /// What the MLP keeps of its own making: all but its input.
  int64_t mlp_made(bool grad) const {
    const bool middle = middle_needs(grad), halves = halves_need(grad);
    int64_t n = middle ? kSum : 0;
    if (adapted(4) || adapted(5)) n += !again() ? c * row : middle ? 0 : c * kSum;
    n += (ranks[4] + ranks[5] + ranks[6]) * row;
    // A half without a gradient of its own has no way to be made again.
    if (halves)
      for (int i : {4, 5})
        if (policy != CheckpointPolicy::mlp || !(middle || adapted(i))) n += f * row;
    if (adapted(6) && !(again() && halves)) n += f * row;
    return n;
  }
  bool attention_kept(bool grad) const { return grad || reads_norm(); }
  bool middle_needs(bool grad) const { return attention_kept(grad) || adapted(3); }
  bool output_needs(bool grad) const { return middle_needs(grad) || adapted(4) || adapted(5) || adapted(6); }
  bool halves_need(bool grad) const { return middle_needs(grad) || adapted(4) || adapted(5); }
  /// What backward makes again for SwiGLU's own backward: gate and up, from the norm.
  int64_t halves_again(bool grad) const { return policy == CheckpointPolicy::mlp && halves_need(grad) ? (2 * f + c) * row : 0; }
  /// What the MLP's backward makes: the gradient of its product, rounded rows, a row of the rank (twice more in bf16, turned
  /// for the adapter's gradients), and what is made again. A block that is run again first has its norm and product there
  /// even where it does not keep them.
  int64_t mlp_at_work(bool grad) const {
    const int64_t product_again = adapted(6) && again() && halves_need(grad) ? f * row + halves_again(grad) : 0;
    const int64_t in_down = (rounded() ? c * row : 0) + ranks[6] * row * (rounded() ? 3 : 1) + product_again;
    const int64_t backward = f * row + std::max(in_down, halves_again(grad));
    return repeats_blocks(policy) ? std::max(backward, (adapted(4) || adapted(5) ? 0 : c * row) + (adapted(6) ? 0 : f * row)) : backward;
  }
  /// The gradient of the output and that of the MLP's product stand beside all the block has saved; of a tile's MLP beside
  /// what the other half has saved and the MLP's input.
  Share in_mlp(bool grad) const {
    const int64_t outside = attention_saved(grad) + c * kSum;
    if (tiled) return {outside + c * kSum, mlp_made(grad) + mlp_at_work(grad)};
    return {outside + mlp_saved(grad) + mlp_at_work(grad)};
  }
  /// Later what the MLP and o kept is gone and the gradients of q, k, v and o stand beside the rest. In bf16 those of q and k are sums
  /// of a group of heads, which then round into the places of q and k.
  Share in_attention(bool grad) const {
    const int64_t sums = rounded() ? (q + k) / groups + k : q + 2 * k;
    return {attention_saved(grad) - ranks[3] * row + c * kSum + q * row + sums * kSum + heads * kSum * (rounded() ? 2 : 1) + parts};
  }
  /// The norm is there again, with its gradient, for q, k and v.
  Share in_projections(bool grad) const {
    if (!reads_norm() || policy == CheckpointPolicy::none) return {0};
    return {attention_saved(grad) - (ranks[3] + 2 * q + 2 * k) * row - heads * kSum + c * (2 * kSum + row) + (q + k) * row + k * kSum};
  }
};

}  // namespace

ActivationBytes activation_bytes(const ModelConfig& config, const std::vector<int64_t>& ranks, CheckpointPolicy policy,
                                 ComputeType compute, const ActivationPass& pass) {
  if (static_cast<int64_t>(ranks.size()) != config.layers * 7)
    throw ShapeError("activation_bytes: " + std::to_string(ranks.size()) + " ranks for " +
                     std::to_string(config.layers * 7) + " linear layers");
  const int64_t c = config.hidden_size, row = static_cast<int64_t>(dtype_bytes(row_type(compute))), tokens = pass.tokens, longest = pass.longest;
  const bool full = repeats_blocks(policy), away = policy == CheckpointPolicy::offload && pass.on_card;
  const bool tiled = full && tokens > pass.mlp_tile, in_groups = full && pass.on_card && tokens > kGroupTiles * pass.mlp_tile;
  int64_t parts = 0;  // bytes per token, as if all documents were as long as the longest: shorter ones have less
  if (row < kSum && longest > 0 && !pass.on_card) parts = (attention_part_bytes(longest, config.heads, config.kv_heads, config.head_dim) + longest - 1) / longest;
  bool grad = false;  // whether the input of the block at hand needs a gradient
  int64_t saved = 0;
  uint64_t backward = 0;
  const auto bytes = [&](int64_t per_token, int64_t per_target) { return static_cast<uint64_t>(per_token * tokens + per_target * pass.targets); };
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    const BlockForm block{c,
                          config.intermediate_size,
                          config.heads * config.head_dim,
                          config.kv_heads * config.head_dim,
                          config.heads,
                          ranks.data() + layer * 7,
                          row,
                          policy,
                          parts,
                          in_groups ? attention_groups(config.kv_heads) : 1,
                          tiled};
    const int64_t own = full ? 0 : block.attention_saved(grad) + block.mlp_saved(grad);
    const int64_t before = away ? std::min<int64_t>(layer, 1) * c * kSum : saved;
    const int64_t input = full || grad ? c * kSum : 0;
    // Of kept blocks the last is at work beside all others, of blocks that are run again beside the inputs of those before.
    uint64_t most = 0;
    for (const Share share : {block.in_mlp(grad), block.in_attention(grad), block.in_projections(grad)})
      most = std::max(most, bytes(before + input + share.per_token, 0) + static_cast<uint64_t>(share.per_row * std::min(tokens, pass.mlp_tile)));
    backward = full ? std::max(backward, most) : most;
    saved = (away ? 0 : saved) + input + own;
    grad = full || block.output_needs(grad);
  }
  const int64_t final_norm = grad ? (c + 1) * kSum : 0;
  ActivationBytes out;
  out.saved = bytes(saved + final_norm, 0);
  // The head holds the hidden states and the rows with a target, then those rows and their gradient, then that and its
  // place among all rows.
  const uint64_t head = std::max({bytes(c * row, c * row), bytes(0, c * (row + kSum)), bytes(c * kSum, c * kSum)}) + bytes(0, 2 * kSum);
  out.peak = std::max(out.saved + head, backward);
  return out;
}

}  // namespace lorikeet
