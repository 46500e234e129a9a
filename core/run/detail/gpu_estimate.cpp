#include "core/run/detail/gpu_estimate.h"

#include <algorithm>

#include "core/models/activation_bytes.h"
#include "core/models/weights_on.h"
#include "core/run/detail/run_setup.h"

namespace lorikeet::detail {
namespace {

// Sizes of the kernels' scratch, as cuda/ops has them.
constexpr int64_t kMostDecoded = 256 << 20;  // a weight, or a panel of a larger one, in the type products read
constexpr int64_t kMostLogits = 256 << 20;   // a chunk of logits in f32
constexpr int64_t kWorkspace = 32 << 20;     // of the product library
constexpr double kShareOfPeak = 0.35;        // of a card's dense products that a whole step reaches, small ops included
constexpr double kShareOfBandwidth = 0.8, kDecodedBytes = 2.5;  // of a weight: four bits read, 16 written
constexpr double kKernelsOfLayer = 90, kSecondsOfKernel = 3e-6;  // of a pass in both directions; the least a small one takes

/// Of the embedding table where it stays on the host.
uint64_t host_table_bytes(const ModelFacts& m) {
  for (const ModelTensorInfo& t : m.tensors)
    if (t.name == kEmbeddingTable && t.bytes >= host_table_from(m.config)) return t.bytes;
  return 0;
}

}  // namespace

double gpu_pass_seconds(const Card& card, const ModelConfig& model, double flops, double passes) {
  double weights = 0;
  for (const LinearShape& s : linear_shapes(model)) weights += static_cast<double>(s.rows) * static_cast<double>(s.columns);
  const double decoding = passes * weights * kDecodedBytes / (card.bandwidth * 1e9 * kShareOfBandwidth);
  return flops / (card.teraflops * 1e12 * kShareOfPeak) + decoding + static_cast<double>(model.layers) * kKernelsOfLayer * kSecondsOfKernel;
}

PlanBytes estimate_gpu_memory(const MemoryQuestion& q) {
  const ModelConfig& m = q.model.config;
  const auto row = static_cast<int64_t>(dtype_bytes(row_type(compute_type_of(q.config))));
  const std::vector<LinearShape> shapes = linear_shapes(m);
  const std::vector<int64_t> ranks = ranks_of(q, shapes);
  const int64_t tokens = q.batches.most_tokens, targets = q.batches.most_targets;
  const auto trainable = static_cast<uint64_t>(q.trainable);
  PlanBytes b;
  b.weights = weight_size(q.config, q.model).bytes - host_table_bytes(q.model);
  b.adapter = trainable * (row == 2 ? 4 + 4 + 2 : 4 + 4);  // values, gradients, and the values as rows
  b.optimizer = optimizer_kind(q.config).paged ? 0 : optimizer_state_bytes(q);
  const int64_t longest = std::min(tokens, q.batches.longest_document);
  // Of one micro-batch the gradients of the adapter come while what the blocks saved goes.
  b.activations = activation_bytes(m, ranks, q.policy, compute_type_of(q.config), {tokens, longest, targets, true}).peak;
  int64_t widest = 0, decoded = 0, rank = 0;
  for (size_t i = 0; i < shapes.size(); ++i) {
    widest = std::max({widest, shapes[i].rows, shapes[i].columns});
    decoded = std::max(decoded, shapes[i].rows * shapes[i].columns * row);
    rank = std::max(rank, ranks[i]);
  }
  const int64_t head = std::min<int64_t>(kMostDecoded, m.vocab_size * m.hidden_size * row);
  const int64_t logits = std::min<int64_t>(kMostLogits, std::max(targets, q.batches.most_eval_targets) * m.vocab_size * 4);
  // dy and the adapter in the rows' type; of the MLP's rows, which are wider, a tile at a time where blocks are run again.
  const int64_t rows = repeats_blocks(q.policy) ? std::max(std::min(tokens, kMlpTile) * widest, tokens * std::max(m.hidden_size, m.heads * m.head_dim)) : tokens * widest;
  const int64_t copies = row == 2 ? rows * row + 2 * rank * widest * row : 0;
  const int64_t sums = 2 * tokens * rank * row;
  b.scratch = static_cast<uint64_t>(std::max(std::min<int64_t>(decoded, kMostDecoded), head) + logits + (row == 2 ? logits / 2 : 0) + copies + sums + kWorkspace);
  b.total = b.weights + b.adapter + b.optimizer + b.activations + b.scratch;
  return b;
}

}  // namespace lorikeet::detail
