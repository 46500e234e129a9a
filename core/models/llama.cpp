/// The whole Llama decoder on the tape and, for generation, against caches. It computes in the type of its norm
/// weights: f32 as loaded, f64 where a test's source gives f64 vectors.
#include "core/models/llama.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "core/base/error.h"
#include "core/models/llama_block.h"
#include "core/nn/layers.h"
#include "core/ops/attention_step.h"
#include "core/ops/elementwise.h"
#include "core/ops/few_rows.h"
#include "core/tensor/device_memory.h"

namespace lorikeet {
namespace {

/// The new tokens of all sequences one after another: the linears then read each weight once for all of them.
struct NewTokens {
  std::vector<int32_t> ids, positions, last;  // last[i]: row of the last token of sequence i
  std::vector<int64_t> begin;                 // row of the first token of sequence i
};

NewTokens gather_new_tokens(const std::vector<std::vector<int32_t>>& ids, const std::vector<KvCache*>& caches) {
  if (ids.empty() || ids.size() != caches.size())
    throw ShapeError("forward_cached: " + std::to_string(ids.size()) + " id lists for " +
                     std::to_string(caches.size()) + " caches");
  NewTokens out;
  for (size_t i = 0; i < ids.size(); ++i) {
    const KvCache& cache = *caches[i];
    const auto n = static_cast<int64_t>(ids[i].size());
    if (n == 0) throw ShapeError("forward_cached: sequence " + std::to_string(i) + " has no new token");
    if (cache.length + n > cache.capacity)
      throw RunError("the text grew to " + std::to_string(cache.length + n) + " tokens, but room was made for " +
                     std::to_string(cache.capacity));
    out.begin.push_back(static_cast<int64_t>(out.ids.size()));
    out.ids.insert(out.ids.end(), ids[i].begin(), ids[i].end());
    for (int64_t p = 0; p < n; ++p) out.positions.push_back(static_cast<int32_t>(cache.length + p));
    out.last.push_back(static_cast<int32_t>(out.ids.size()) - 1);
  }
  return out;
}

class Llama final : public Model {
 public:
  Llama(const ModelConfig& config, WeightSource& source, const std::stop_token& stop) {
    config_ = config;
    embedding_ = source.matrix(std::string(kEmbeddingTable), config.vocab_size, config.hidden_size, false);
    blocks_.reserve(static_cast<size_t>(config.layers));
    for (int64_t layer = 0; layer < config.layers; ++layer) {
      if (stop.stop_requested()) throw Interrupted("loading the model was stopped");
      blocks_.push_back(make_llama_block(config, layer, source));
    }
    norm_ = source.vector("model.norm.weight", config.hidden_size);
    head_ =
        config.tied_head ? embedding_ : source.matrix("lm_head.weight", config.vocab_size, config.hidden_size, false);
  }

  Var forward(Tape& tape, const TokenBatch& batch, const ForwardOptions& options) override {
    check_batch(batch, config_.vocab_size);
    const BatchThere sent = options.there ? *options.there : BatchThere{index_tensor(batch.ids), index_tensor(batch.positions), index_tensor(batch.document_starts), {}};
    BlockInputs in = block_inputs(batch.positions, sent.positions, options.training, options.dropout_seed);
    in.dropout_there = sent.dropout_seed;
    // Beside an f32 residual stream, all that products read is rounded to the 16-bit type they compute in: it is then
    // kept in half the memory and read as it lies.
    if (norm_.dtype() == DType::f32) in.rows = row_type(tape.context().unit().compute);
    const bool whole_blocks = repeats_blocks(options.policy);
    const bool away = options.policy == CheckpointPolicy::offload && tape.context().device() != DeviceType::cpu;
    const auto queue = away ? std::make_shared<AwayQueue>() : nullptr;
    in.policy = options.policy;
    if (whole_blocks) in.mlp_tile = options.mlp_tile;
    // From here on a group's sums are less than a tile of the MLP takes; on a CPU heads share out one call's work.
    const bool in_groups = whole_blocks && tape.context().device() != DeviceType::cpu && batch.tokens() > kGroupTiles * options.mlp_tile;
    const AttendFn attend = [starts = sent.document_starts, shape = attention_shape(), turn = Rotation{in.positions, in.cos_sin, in.rows},
                             groups = in_groups ? attention_groups(config_.kv_heads) : 1](Tape& t, const Var& q, const Var& k, const Var& v) {
      return rotary_attention(t, q, k, v, turn, starts, shape, groups);
    };
    Var x = embedding(tape, *embedding_, embedding_->device() == norm_.device() ? sent.ids : embedding_ids(batch.ids), norm_.dtype());
    for (const LlamaBlock& block : blocks_) {
      const auto run = [this, &block, in, attend](Tape& t, const Var& input) {
        return llama_block_forward(t, block, config_, in, input, attend);
      };
      Var next = whole_blocks ? tape.checkpoint(x, run, queue) : run(tape, x);
      Tape::forget(x);
      x = next;
    }
    Var out = rms_norm(tape, x, norm_, config_.norm_eps, {in.rows});
    Tape::forget(x);
    return out;
  }

  Tensor forward_cached(Context& cx, const std::vector<std::vector<int32_t>>& ids,
                        const std::vector<KvCache*>& caches) override {
    const NewTokens fresh = gather_new_tokens(ids, caches);
    check_token_ids(fresh.ids, config_.vocab_size);  // ops check indices that lie on the host only
    // Many steps go in groups that the linears take row by row (ops/few_rows.h): the same bits as one by one.
    if (fresh.ids.size() == ids.size() && ids.size() > static_cast<size_t>(ops::kMostFewRows)) return steps_in_groups(cx, ids, caches);
    const BlockInputs in = block_inputs(fresh.positions, index_tensor(fresh.positions), false, 0);
    Tape tape(cx, false);
    Var x = embedding(tape, *embedding_, embedding_ids(fresh.ids), norm_.dtype());
    for (size_t layer = 0; layer < blocks_.size(); ++layer) {
      const AttendFn attend = [&](Tape& t, const Var& q, const Var& k, const Var& v) {
        const auto turned = [&](const Var& rows) { return rope(t, rows, in.positions, in.cos_sin, config_.head_dim, in.rows); };
        return attend_caches(t, layer, ids, fresh, caches, turned(q), turned(k), v);
      };
      x = llama_block_forward(tape, blocks_[layer], config_, in, x, attend);
    }
    for (size_t i = 0; i < ids.size(); ++i) caches[i]->length += static_cast<int64_t>(ids[i].size());
    Tensor last = cx.empty({static_cast<int64_t>(ids.size()), config_.hidden_size}, x->value.dtype());
    gather_rows(cx, x->value, index_tensor(fresh.last), last);
    return rms_norm(tape, make_leaf(last, false), norm_, config_.norm_eps, {norm_.dtype()})->value;
  }

  using Model::make_cache;
  KvCache make_cache(int64_t capacity, DType type) const override {
    KvCache cache;
    cache.capacity = capacity;
    if (norm_.dtype() == DType::f64) type = DType::f64;
    for (size_t layer = 0; layer < blocks_.size(); ++layer) {
      cache.keys.push_back(KvStore::make(capacity, config_.kv_heads, config_.head_dim, type, norm_.device()));
      cache.values.push_back(KvStore::make(capacity, config_.kv_heads, config_.head_dim, type, norm_.device()));
    }
    return cache;
  }

  const FrozenWeight& head() const override { return *head_; }

  std::vector<Linear*> linears() override {
    std::vector<Linear*> out;
    for (LlamaBlock& block : blocks_)
      for (Linear& linear : block.linears) out.push_back(&linear);
    return out;
  }

  uint64_t weight_bytes(DeviceType device) const override {
    uint64_t bytes = 0;
    const auto add = [&](const auto& held) { bytes += held.device() == device ? held.bytes() : 0; };
    add(*embedding_);
    if (head_ != embedding_) add(*head_);
    add(norm_);
    for (const LlamaBlock& block : blocks_) {
      add(block.input_norm);
      add(block.post_attention_norm);
      for (const Linear& linear : block.linears) {
        add(linear.weight());
        if (linear.bias().defined()) add(linear.bias());
      }
    }
    return bytes;
  }

 private:
  /// On the device of the weights.
  Tensor index_tensor(const std::vector<int32_t>& values) const {
    return Tensor::from<int32_t>(values, {static_cast<int64_t>(values.size())}).on(norm_.device());
  }
  /// Where the table lies.
  Tensor embedding_ids(const std::vector<int32_t>& ids) const {
    return Tensor::from<int32_t>(ids, {static_cast<int64_t>(ids.size())}).on(embedding_->device());
  }

  AttentionShape attention_shape() const {
    return {config_.heads, config_.kv_heads, config_.head_dim, 1.0 / std::sqrt(static_cast<double>(config_.head_dim)), config_.sliding_window};
  }

  BlockInputs block_inputs(const std::vector<int32_t>& positions, const Tensor& there, bool training, uint64_t dropout_seed) {
    const int64_t needed = *std::max_element(positions.begin(), positions.end()) + 1;
    const std::lock_guard lock(cos_sin_mutex_);  // several groups of threads may go forward at once
    if (!cos_sin_.defined() || cos_sin_.dim(0) < needed) {
      // Generation asks for one more position each time; doubling keeps that from rebuilding the table over and over.
      const int64_t had = cos_sin_.defined() ? cos_sin_.dim(0) : 0;
      if (had > 0) outgrown_.push_back(cos_sin_);
      const LifetimeScope lasting(norm_.device(), Lifetime::lasting);
      cos_sin_ = rope_table(config_, std::max((needed + 255) / 256 * 256, 2 * had), norm_.dtype()).on(norm_.device());
    }
    return {there, cos_sin_, training, dropout_seed, {}, norm_.dtype(), CheckpointPolicy::none};
  }

  Tensor steps_in_groups(Context& cx, const std::vector<std::vector<int32_t>>& ids, const std::vector<KvCache*>& caches) {
    Tensor out = cx.empty({static_cast<int64_t>(ids.size()), config_.hidden_size}, norm_.dtype());
    for (size_t begin = 0; begin < ids.size(); begin += ops::kMostFewRows) {
      const auto end = std::min(ids.size(), begin + ops::kMostFewRows);
      const auto part = [&](const auto& all) {
        return std::remove_cvref_t<decltype(all)>(all.begin() + static_cast<std::ptrdiff_t>(begin), all.begin() + static_cast<std::ptrdiff_t>(end));
      };
      out.slice(static_cast<int64_t>(begin), static_cast<int64_t>(end)).copy_from(forward_cached(cx, part(ids), part(caches)));
    }
    return out;
  }

  // Keys and values go into the caches first; then single tokens are attended together, prompts one by one.
  Var attend_caches(Tape& tape, size_t layer, const std::vector<std::vector<int32_t>>& ids, const NewTokens& fresh,
                    const std::vector<KvCache*>& caches, const Var& q, const Var& k, const Var& v) const {
    Tensor o = tape.context().empty(q->value.shape(), q->value.dtype());
    std::vector<AttentionStepText> steps;
    for (size_t i = 0; i < ids.size(); ++i) {
      KvStore &keys = caches[i]->keys[layer], &values = caches[i]->values[layer];
      const int64_t begin = fresh.begin[i], end = begin + static_cast<int64_t>(ids[i].size()), past = caches[i]->length;
      kv_append(tape.context(), keys, past, k->value.slice(begin, end));
      kv_append(tape.context(), values, past, v->value.slice(begin, end));
      if (end - begin == 1 && o.dtype() == DType::f32) {
        steps.push_back({begin, &keys, &values, past + 1});
        continue;
      }
      Context& cx = tape.context();
      const bool wide = o.dtype() == DType::f64;
      Tensor part = o.slice(begin, end);
      attention_cached(cx, {.q = q->value.slice(begin, end),
                            .keys = wide ? keys.rows : kv_rows_f32(cx, keys, past + end - begin),
                            .values = wide ? values.rows : kv_rows_f32(cx, values, past + end - begin),
                            .o = part,
                            .past = past,
                            .shape = attention_shape()});
    }
    if (!steps.empty()) attention_step(tape.context(), {.q = q->value, .texts = steps, .o = o, .shape = attention_shape()});
    return tape.make(o, {});
  }

  FrozenWeightPtr embedding_, head_;
  std::vector<LlamaBlock> blocks_;
  Tensor norm_, cos_sin_;
  std::vector<Tensor> outgrown_;  // tables that recorded work still reads; together smaller than the one in use
  std::mutex cos_sin_mutex_;
};

}  // namespace

std::unique_ptr<Model> make_llama(const ModelConfig& config, WeightSource& source, std::stop_token stop) {
  check_model_config(config);
  return std::make_unique<Llama>(config, source, stop);
}

}  // namespace lorikeet
