/// Model: embedding, blocks, final norm and head of one architecture; built from a WeightSource, run on a tape.
/// To add an architecture: write models/<name>.cpp with make_<name>() and add one line to models.cpp.
#pragma once
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "core/autograd/tape.h"
#include "core/base/registry.h"
#include "core/models/model_config.h"
#include "core/nn/head_loss.h"
#include "core/nn/linear.h"
#include "core/ops/frozen_weight.h"
#include "core/ops/kv_store.h"

namespace lorikeet {

/// Where a model's tensors come from (a folder, a GGUF, a test). Names are Hugging Face names without prefix oddities:
/// "model.layers.0.self_attn.q_proj.weight". Throws InputError for a missing tensor or a wrong shape.
class WeightSource {
 public:
  virtual ~WeightSource() = default;
  virtual bool has(const std::string& name) const = 0;
  /// A matrix; `quantise` = true for the linear layers inside the blocks (coded as the run asks), false: as stored.
  virtual FrozenWeightPtr matrix(const std::string& name, int64_t rows, int64_t columns, bool quantise) = 0;
  /// A vector (norm weight, bias) as f32.
  virtual Tensor vector(const std::string& name, int64_t size) = 0;
};

/// What WeightSource::matrix() is asked for the embedding table by.
inline constexpr std::string_view kEmbeddingTable = "model.embed_tokens.weight";

/// Documents packed one after another: positions restart at each, attention never crosses a boundary.
struct TokenBatch {
  std::vector<int32_t> ids;             // [T]
  std::vector<int32_t> positions;       // [T], 0 at each document start
  std::vector<int32_t> document_starts; // offsets, first 0, last T (cu_seqlens)
  std::vector<int32_t> labels;          // [T]: labels[t] is the target of position t-1 within its document; -100 none
  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
  /// Number of real targets (labels >= 0 that are not first of their document).
  int64_t target_tokens() const;
};

/// What backward makes again instead of keeping it, from the most memory to the least (kernels.md 7.1 of the design
/// notes; Chen et al. 2016, arXiv:1604.06174): nothing; the norms' and SwiGLU's outputs (next to no time); gate and up
/// too; the whole block from its input; the same with the inputs in host memory (on a CPU they are there anyway).
enum class CheckpointPolicy { none, norms_swiglu, mlp, full, offload };
inline constexpr CheckpointPolicy kCheckpointPolicies[] = {CheckpointPolicy::none, CheckpointPolicy::norms_swiglu, CheckpointPolicy::mlp, CheckpointPolicy::full, CheckpointPolicy::offload};
inline bool repeats_blocks(CheckpointPolicy policy) { return policy == CheckpointPolicy::full || policy == CheckpointPolicy::offload; }
std::string_view checkpoint_policy_name(CheckpointPolicy policy);  // none, norms+swiglu, mlp, full, offload
/// Throws ConfigError for an unknown name.
CheckpointPolicy checkpoint_policy_from_name(std::string_view name);
/// The numbers of a batch where its model is, sent there before: recorded work finds each batch at the same place.
struct BatchThere {
  Tensor ids, positions, document_starts;  // i32
  Tensor dropout_seed;                     // i32 [2]: its words, the low one first
};
/// Throws ShapeError for a batch that does not fit together or names tokens the model does not have.
void check_batch(const TokenBatch& batch, int64_t vocabulary);
void check_token_ids(const std::vector<int32_t>& ids, int64_t vocabulary);
/// The batch with a document of fill tokens, none of them a target, and with empty documents behind it, so that it has at
/// least so many of both: what the others give is not touched by it.
TokenBatch filled_up(const TokenBatch& batch, int64_t tokens, int64_t documents);
/// Tokens that go through a block's MLP at a time where whole blocks are run again and a batch has more: its rows are some
/// three times as wide as all others. As many as products need to be efficient, for each tile decodes the weights anew.
inline constexpr int64_t kMlpTile = 2048;
/// With more than so many tiles, attention's gradients on a card are made for a part of the heads at a time: one of up to
/// kMostGroups, as its key/value heads divide.
inline constexpr int64_t kGroupTiles = 16, kMostGroups = 4;
inline int64_t attention_groups(int64_t kv_heads) {
  int64_t groups = kMostGroups;
  while (kv_heads % groups != 0) --groups;
  return groups;
}
struct ForwardOptions {
  CheckpointPolicy policy = CheckpointPolicy::none;
  bool training = false;     // adapter dropout on
  uint64_t dropout_seed = 0; // seed and counter of the step: masks are f(seed, layer, element)
  int64_t mlp_tile = kMlpTile;
  const BatchThere* there = nullptr;
};

/// Keys and values of one sequence for generation, one store a layer.
struct KvCache {
  std::vector<KvStore> keys, values;
  int64_t length = 0, capacity = 0;
  uint64_t bytes() const;
};

class Model {
 public:
  virtual ~Model() = default;
  const ModelConfig& config() const { return config_; }
  /// Final hidden states after the last norm, [T, C].
  virtual Var forward(Tape& tape, const TokenBatch& batch, const ForwardOptions& options) = 0;
  /// Next positions of several sequences at once without a tape: ids[i] are appended to caches[i].
  /// Returns the final hidden state of the last token of each sequence, [sequences, C]. A sequence that gets one token
  /// has the same bits whatever sequences stand beside it, as long as they too get one token each.
  virtual Tensor forward_cached(Context& cx, const std::vector<std::vector<int32_t>>& ids, const std::vector<KvCache*>& caches) = 0;
  /// `type` f32, bf16 or i8: what keys and values are rounded to (a model that computes in f64 keeps f64).
  virtual KvCache make_cache(int64_t capacity, DType type) const = 0;
  KvCache make_cache(int64_t capacity) const { return make_cache(capacity, DType::f32); }
  /// The output head [V, C]: lm_head or the tied embedding.
  virtual const FrozenWeight& head() const = 0;
  /// All linear layers of the blocks in order of their names in the file; methods attach adapters to them.
  virtual std::vector<Linear*> linears() = 0;
  /// Bytes of the frozen weights held on a device.
  virtual uint64_t weight_bytes(DeviceType device) const = 0;

 protected:
  ModelConfig config_;
};

using ModelFactory = std::unique_ptr<Model> (*)(const ModelConfig&, WeightSource&, std::stop_token);
const Registry<ModelFactory>& models();
/// Full logits [T, V] in f32, on the host, of given hidden states, for scoring and tests (not for training).
Tensor logits_of(Context& cx, const Model& model, const Tensor& hidden);
/// The positions of a batch that predict something, with their targets: row t-1 predicts labels[t].
Targets target_rows(const TokenBatch& batch);
/// The names of the quantised matrices of a config with their shapes, in file order (for planning without weights).
struct LinearShape { std::string name; int64_t rows, columns; };
std::vector<LinearShape> linear_shapes(const ModelConfig& config);

}  // namespace lorikeet
