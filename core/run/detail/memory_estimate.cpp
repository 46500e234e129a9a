#include "core/run/detail/memory_estimate.h"

#include <algorithm>
#include <atomic>

#include "core/models/activation_bytes.h"
#include "core/ops/bf16_rows.h"
#include "core/run/detail/run_setup.h"

namespace lorikeet::detail {
namespace {

constexpr uint64_t kFloat = 4;

// The head works on this much of logits at a time (kChunkBytes, kLeastRows, kMostRows, kParts of
// core/ops/linear_cross_entropy_cpu.cpp).
constexpr int64_t kLogitBytes = 64 << 20, kLeastLogitRows = 16, kMostLogitRows = 512, kHeadParts = 16;
// Scratch of the linear layers: a decoded panel a thread, and a stretch of weight decoded for all threads in backward
// (core/ops/panels.h, adapted_linear_cpu.cpp).
constexpr uint64_t kPanelBytes = 1 << 20, kSharedBytes = 8 << 20;
// Scratch of attention a thread: blocks of scores and sums (core/ops/attention_cpu.cpp).
constexpr uint64_t kAttentionBytes = 1 << 20;
// Packed blocks of matrix products on a thread's stack (core/ops/gemm.cpp).
constexpr uint64_t kGemmBytes = 400 << 10;
// Code, libraries, locale, thread stacks: resident bytes of `lorikeet` with an open model that has no tokenizer.
std::atomic<uint64_t> program_bytes{17 << 20};
// A vocabulary entry with its maps and merges (7 MB for 49152 entries).
constexpr uint64_t kTokenizerEntryBytes = 150;

const ModelTensorInfo* find_tensor(const ModelFacts& m, const std::string& name) {
  for (const auto& t : m.tensors)
    if (t.name == name) return &t;
  return nullptr;
}

}  // namespace

WeightSize weight_size(const RunConfig& c, const ModelFacts& m) {
  WeightSize out;
  uint64_t linear_bytes = 0, linear_values = 0;
  for (const LinearShape& s : linear_shapes(m.config)) {
    linear_values += static_cast<uint64_t>(s.rows * s.columns);
    const ModelTensorInfo* t = find_tensor(m, s.name + ".weight");
    if (c.quantization.format == "keep")
      linear_bytes += t ? t->bytes : 0;
    else
      linear_bytes += weight_formats().get(c.quantization.format)->bytes(s.rows, s.columns, quant_options_of(c));
  }
  out.bytes = linear_bytes;
  // Embedding and head stay as stored; norms and biases are held as f32.
  for (const char* name : {"model.embed_tokens.weight", "lm_head.weight"})
    if (const ModelTensorInfo* t = find_tensor(m, name); t && !(m.config.tied_head && std::string_view(name) == "lm_head.weight")) out.bytes += t->bytes;
  out.bytes += static_cast<uint64_t>((2 * m.config.layers + 1) * m.config.hidden_size) * kFloat;
  out.bits_per_weight = linear_values > 0 ? 8.0 * static_cast<double>(linear_bytes) / static_cast<double>(linear_values) : 0;
  return out;
}

std::vector<int64_t> ranks_of(const MemoryQuestion& q, const std::vector<LinearShape>& shapes) {
  const AdapterSpec spec = adapter_spec_of(q.config, q.model.base_name);
  std::vector<int64_t> ranks;
  for (const LinearShape& s : shapes) {
    const bool adapted = std::any_of(q.adapted.begin(), q.adapted.end(), [&](const LinearShape& a) { return a.name == s.name; });
    ranks.push_back(adapted ? rank_and_alpha(spec, s.name).first : 0);
  }
  return ranks;
}

namespace {

/// Most that is alive between forward and backward, with what the head holds on top of the saved values, less what is
/// counted as gradients of the adapter: those come one block after the other while the saved values of blocks go.
uint64_t activation_peak(const MemoryQuestion& q, const std::vector<int64_t>& ranks, uint64_t logit_bytes, uint64_t gradient_bytes) {
  const int64_t tokens = q.batches.most_tokens, targets = q.batches.most_targets;
  const ModelConfig& m = q.model.config;
  const ActivationBytes a = activation_bytes(m, ranks, q.policy, compute_type_of(q.config), {tokens, std::min(tokens, q.batches.longest_document), targets});
  const auto c = static_cast<uint64_t>(m.hidden_size);
  // Dropout makes a masked copy of a layer's input while the layer is at work.
  const int64_t in_mlp = repeats_blocks(q.policy) ? std::min(tokens, kMlpTile) : tokens;
  const int64_t widest = std::max(in_mlp * m.intermediate_size, tokens * std::max(m.hidden_size, m.heads * m.head_dim));
  const uint64_t masked = q.config.adapter.dropout > 0 ? static_cast<uint64_t>(widest) * kFloat : 0;
  const uint64_t head = a.saved + (static_cast<uint64_t>(tokens) + 2 * static_cast<uint64_t>(targets)) * c * kFloat + logit_bytes;
  const uint64_t begin = std::max(a.peak + masked, head);
  if (q.batches.most_micro_batches > 1) return begin;  // from the second on all gradients are there from the start
  const uint64_t end = a.saved / static_cast<uint64_t>(std::max<int64_t>(q.model.config.layers, 1)) + (a.peak - a.saved) + masked + gradient_bytes;
  const uint64_t most = std::max(begin, end);
  return most > gradient_bytes ? most - gradient_bytes : 0;
}

/// Scratch of the kernels in f32, and the room for a chunk of logits: the room a chunk leaves is taken by the next
/// forward pass, so that the next chunk needs room of its own.
uint64_t f32_scratch(const MemoryQuestion& q, uint64_t threads, uint64_t logits, uint64_t rows) {
  return threads * (kPanelBytes + kAttentionBytes + kGemmBytes) + kSharedBytes + logits +
         static_cast<uint64_t>(kHeadParts) * rows * static_cast<uint64_t>(q.model.config.hidden_size) * kFloat;
}

/// Scratch of the kernels on rows of bf16 (adapted_linear_bf16.cpp, attention_bf16.cpp, linear_cross_entropy_bf16.cpp):
/// a thread's decoded and packed rows, sums and strips of scores; shared, a stretch of packed weight or head and the
/// packed heads of attention.
uint64_t bf16_scratch(const MemoryQuestion& q, uint64_t threads, const std::vector<int64_t>& ranks) {
  constexpr int64_t kRows = 64, kColumns = 192, kPacked = 288 << 10, kStretch = 8 << 20, kUnit = 32;
  constexpr int64_t kStrips = kRows * (512 * 4 + 512 * 2 + 256 * 4 + 256 * 2);  // scores and weights of attention; the loss needs less
  const ModelConfig& m = q.model.config;
  const int64_t widest = std::max({m.hidden_size, m.intermediate_size, m.heads * m.head_dim});
  const int64_t rank = ranks.empty() ? 0 : *std::max_element(ranks.begin(), ranks.end());
  const int64_t decoded = std::max(kUnit * widest, kRows * m.hidden_size) * 4, packed = std::max(kPacked, kUnit * widest * 2);
  const int64_t sums = std::max(kRows, rank) * kColumns * 4 + kColumns * rank * 2;
  const int64_t thread = decoded + packed + sums + kStrips;
  const int64_t tokens = q.batches.most_tokens + kUnit * (q.batches.most_tokens / std::max<int64_t>(q.batches.longest_document, 1) + 1);
  const int64_t heads = 4 * m.heads * m.head_dim * tokens * 2;
  const int64_t panels = std::min<int64_t>(kSharedBytes, widest * m.hidden_size * 2);
  const int64_t head = std::min<int64_t>(kStretch / 2, m.vocab_size * m.hidden_size * 2);
  int64_t spread = 0;  // the copy of a layer's rows where they share a cache set
  for (const int64_t width : {m.hidden_size, m.intermediate_size, m.heads * m.head_dim, m.kv_heads * m.head_dim})
    if (ops::spread_stride(width) != width) spread = std::max(spread, ops::spread_stride(width) * q.batches.most_tokens * 2);
  const int64_t shared = std::max(panels, head) + std::max(heads, head) + widest * rank * 2 + spread;
  return threads * static_cast<uint64_t>(thread + static_cast<int64_t>(kGemmBytes)) + static_cast<uint64_t>(shared);
}

}  // namespace

PlanBytes estimate_memory(const MemoryQuestion& q) {
  const ModelConfig& m = q.model.config;
  const auto threads = static_cast<uint64_t>(std::max<int64_t>(q.config.device.threads, 1));
  const auto trainable = static_cast<uint64_t>(q.trainable);
  const int64_t chunk = std::clamp(kLogitBytes / (static_cast<int64_t>(kFloat) * std::max<int64_t>(m.vocab_size, 1)), kLeastLogitRows, kMostLogitRows);
  const auto rows = static_cast<uint64_t>(std::min(std::max(q.batches.most_targets, q.batches.most_eval_targets), chunk));
  const uint64_t logits = rows * static_cast<uint64_t>(m.vocab_size) * kFloat;
  PlanBytes b;
  b.weights = weight_size(q.config, q.model).bytes;
  // Groups of threads work on micro-batches of their own, each with gradients of its own.
  const auto groups = static_cast<uint64_t>(std::clamp<int64_t>(q.config.device.numa_groups, 1, std::max<int64_t>(q.batches.most_micro_batches, 1)));
  b.adapter = trainable * kFloat * (1 + groups);  // values and gradients
  b.optimizer = optimizer_kind(q.config).paged ? 0 : optimizer_state_bytes(q);
  const bool rounded = compute_type_of(q.config) == ComputeType::bf16;
  const std::vector<int64_t> ranks = ranks_of(q, linear_shapes(m));
  b.activations = groups * activation_peak(q, ranks, rounded ? 0 : logits, trainable * kFloat);
  const auto scratch_of = [&](uint64_t n) { return rounded ? bf16_scratch(q, n, ranks) : f32_scratch(q, n, logits, rows); };
  // The threads of updates and evaluation have scratch beside that of the groups.
  b.scratch = program_bytes + scratch_of(threads) + (groups > 1 ? groups * scratch_of((threads + groups - 1) / groups) : 0) +
              static_cast<uint64_t>(q.model.tokenizer_size) * kTokenizerEntryBytes + q.data_bytes;
  b.total = b.weights + b.adapter + b.optimizer + b.activations + b.scratch;
  return b;
}

const OptimizerKind& optimizer_kind(const RunConfig& c) {
  const OptimizerKind* kind = optimizers().find(c.optimizer.name);
  return kind ? *kind : optimizers().get("adamw");
}

uint64_t optimizer_state_bytes(const MemoryQuestion& q) {
  const OptimizerKind& kind = optimizer_kind(q.config);
  const AdapterSpec spec = adapter_spec_of(q.config, q.model.base_name);
  uint64_t bytes = 0;
  int64_t others = q.trainable;
  for (const LinearShape& s : q.adapted) {
    const int64_t rank = rank_and_alpha(spec, s.name).first;
    for (const int64_t size : {rank * s.columns, s.rows * rank}) {
      bytes += kind.state_bytes(size);
      others -= size;
    }
  }
  return bytes + static_cast<uint64_t>(std::max<int64_t>(others, 0)) * 2 * kFloat;
}

uint64_t checkpoint_bytes(int64_t trainable, uint64_t state_bytes) {
  // The adapter in f32, the state, and small files.
  return static_cast<uint64_t>(trainable) * kFloat + state_bytes + (64u << 10);
}

}  // namespace lorikeet::detail

void lorikeet::set_program_bytes(uint64_t bytes) { detail::program_bytes = bytes; }
