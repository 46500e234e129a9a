/// See tiny_model.h.
#include "tests/core/models/tiny_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/base/files.h"
#include "core/base/random.h"
#include "core/quant/weight_format.h"
#include "tests/support/plain_weight.h"
#include "tests/support/support.h"

namespace lorikeet::test {
namespace {

Json fixture_header(const std::string& content) {
  uint64_t length = 0;
  std::memcpy(&length, content.data(), 8);
  return parse_json(std::string_view(content).substr(8, length), "fixture");
}

Tensor tensor_from(const char* bytes, const std::string& dtype, Shape shape) {
  const DType type = dtype == "F64" ? DType::f64 : dtype == "I32" ? DType::i32 : DType::f32;
  if (dtype != "F32" && dtype != "F64" && dtype != "I32") throw std::runtime_error("fixture dtype " + dtype);
  Tensor t = Tensor::empty(std::move(shape), type);
  std::memcpy(t.raw(), bytes, t.bytes());
  return t;
}

}  // namespace

TensorMap read_fixture(const std::string& path) {
  const std::string content = read_file(path);
  const Json header = fixture_header(content);
  uint64_t length = 0;
  std::memcpy(&length, content.data(), 8);
  TensorMap out;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    out[name] = tensor_from(content.data() + 8 + length + entry["data_offsets"][0].get<size_t>(),
                            entry["dtype"].get<std::string>(), entry["shape"].get<Shape>());
  }
  return out;
}

Json fixture_settings(const std::string& path) {
  return parse_json(fixture_header(read_file(path))["__metadata__"]["settings"].get<std::string>(), path);
}

ModelConfig config_from_json(const std::string& path) {
  const Json j = read_json_file(path);
  ModelConfig c;
  c.vocab_size = j["vocab_size"];
  c.hidden_size = j["hidden_size"];
  c.intermediate_size = j["intermediate_size"];
  c.layers = j["num_hidden_layers"];
  c.heads = j["num_attention_heads"];
  c.kv_heads = j["num_key_value_heads"];
  c.head_dim =
      j.contains("head_dim") && !j["head_dim"].is_null() ? j["head_dim"].get<int64_t>() : c.hidden_size / c.heads;
  c.max_positions = j["max_position_embeddings"];
  c.norm_eps = j["rms_norm_eps"];
  c.tied_head = j["tie_word_embeddings"];
  c.attention_bias = j.value("attention_bias", false);
  c.mlp_bias = j.value("mlp_bias", false);
  c.sliding_window = j.value("sliding_window", int64_t{0});
  if (j.value("hidden_act", "silu") == "gelu_pytorch_tanh") c.activation = GateActivation::gelu_tanh;
  const Json& rope = j["rope_parameters"];
  c.rope_theta = rope["rope_theta"];
  const std::string kind = rope["rope_type"];
  c.rope.kind = kind == "default" ? "none" : kind;
  c.rope.factor = rope.value("factor", 1.0);
  c.rope.low_freq_factor = rope.value("low_freq_factor", 1.0);
  c.rope.high_freq_factor = rope.value("high_freq_factor", 4.0);
  c.rope.original_max_positions = rope.value("original_max_position_embeddings", int64_t{0});
  return c;
}

TokenBatch batch_from(const TensorMap& t, const std::string& prefix) {
  return {t.at(prefix + "ids").to_vector<int32_t>(), t.at(prefix + "positions").to_vector<int32_t>(),
          t.at(prefix + "document_starts").to_vector<int32_t>(), t.at(prefix + "labels").to_vector<int32_t>()};
}

FrozenWeightPtr MapSource::matrix(const std::string& name, int64_t rows, int64_t columns, bool quantise) {
  const Tensor& t = tensors_.at(name);
  if (t.shape() != Shape{rows, columns}) throw InputError("test", name, "shape " + to_string(t.shape()));
  if (!quantise || format.empty()) return std::make_shared<PlainWeight>(t);
  Context cx(1);
  return weight_formats().get(format)->encode(cx, t.data<float>(), rows, columns, {});
}

Tensor MapSource::vector(const std::string& name, int64_t size) {
  const Tensor& t = tensors_.at(name);
  if (t.shape() != Shape{size}) throw InputError("test", name, "shape " + to_string(t.shape()));
  return t.dtype() == vectors_ ? t : t.to(vectors_);
}

ModelConfig tiny_config() {
  ModelConfig c;
  c.vocab_size = 61;
  c.hidden_size = 24;
  c.intermediate_size = 40;
  c.layers = 2;
  c.heads = 4;
  c.kv_heads = 2;
  c.head_dim = 8;  // heads * head_dim = 32, not the hidden size
  c.max_positions = 128;
  c.tied_head = true;
  return c;
}

TensorMap random_weights(const ModelConfig& c, uint64_t seed) {
  TensorMap out;
  const auto put = [&](const std::string& name, Shape shape, double scale) {
    out[name] = random_tensor(std::move(shape), seed + stream_of(name), DType::f32, scale);
  };
  const auto put_norm = [&](const std::string& name) {
    put(name, {c.hidden_size}, 0.3);
    for (int64_t i = 0; i < c.hidden_size; ++i) out[name].data<float>()[i] += 1;
  };
  put("model.embed_tokens.weight", {c.vocab_size, c.hidden_size}, 0.6);
  if (!c.tied_head) put("lm_head.weight", {c.vocab_size, c.hidden_size}, 0.6);
  put_norm("model.norm.weight");
  for (int64_t i = 0; i < c.layers; ++i) {
    put_norm("model.layers." + std::to_string(i) + ".input_layernorm.weight");
    put_norm("model.layers." + std::to_string(i) + ".post_attention_layernorm.weight");
  }
  for (const LinearShape& s : linear_shapes(c)) {
    put(s.name + ".weight", {s.rows, s.columns}, 1.7 / std::sqrt(static_cast<double>(s.columns)));
    if (s.name.find(".mlp.") != std::string::npos ? c.mlp_bias : c.attention_bias) put(s.name + ".bias", {s.rows}, 0.2);
  }
  return out;
}

std::unique_ptr<Model> make_tiny(const ModelConfig& config, uint64_t seed, DType type) {
  MapSource source(random_weights(config, seed), type);
  return models().get(config.architecture)(config, source, {});
}

void attach_random(Model& model, int64_t rank, uint64_t seed, DType type, double dropout,
                   const std::vector<int>& places) {
  const std::vector<Linear*> linears = model.linears();
  for (size_t i = 0; i < linears.size(); ++i) {
    const int place = static_cast<int>(i % 7);
    if (!places.empty() && std::find(places.begin(), places.end(), place) == places.end()) continue;
    auto adapter = std::make_unique<LoraAdapter>();
    adapter->a = make_leaf(random_tensor({rank, linears[i]->in_features()}, seed + 2 * i, type, 0.4), true);
    adapter->b = make_leaf(random_tensor({linears[i]->out_features(), rank}, seed + 2 * i + 1, type, 0.4), true);
    adapter->scale = 0.7f;
    adapter->dropout = static_cast<float>(dropout);
    linears[i]->set_adapter(std::move(adapter));
  }
}

std::vector<Var> adapter_vars(Model& model) {
  std::vector<Var> out;
  for (Linear* linear : model.linears())
    if (LoraAdapter* adapter = linear->adapter()) out.insert(out.end(), {adapter->a, adapter->b});
  return out;
}

void clear_gradients(Model& model) {
  for (const Var& v : adapter_vars(model)) v->grad = Tensor();
}

TokenBatch random_batch(const std::vector<int>& lengths, int64_t vocabulary, uint64_t seed, double share) {
  RandomStream random(seed, stream_of("test batch"));
  TokenBatch batch;
  batch.document_starts = {0};
  for (int length : lengths) {
    for (int i = 0; i < length; ++i) {
      batch.ids.push_back(static_cast<int32_t>(random.below(static_cast<uint64_t>(vocabulary))));
      batch.positions.push_back(i);
      const bool trained = i > 0 && (i + 1 == length || random.uniform() < share);
      batch.labels.push_back(trained ? batch.ids.back() : -100);
    }
    batch.document_starts.push_back(static_cast<int32_t>(batch.ids.size()));
  }
  return batch;
}

TokenBatch document(const TokenBatch& batch, size_t index) {
  const auto begin = batch.document_starts[index], end = batch.document_starts[index + 1];
  const auto part = [&](const std::vector<int32_t>& v) {
    return std::vector<int32_t>(v.begin() + begin, v.begin() + end);
  };
  return {part(batch.ids), part(batch.positions), {0, end - begin}, part(batch.labels)};
}

TokenBatch concatenated(const std::vector<TokenBatch>& batches) {
  TokenBatch out;
  out.document_starts = {0};
  for (const TokenBatch& b : batches) {
    const int32_t offset = out.document_starts.back();
    out.ids.insert(out.ids.end(), b.ids.begin(), b.ids.end());
    out.positions.insert(out.positions.end(), b.positions.begin(), b.positions.end());
    out.labels.insert(out.labels.end(), b.labels.begin(), b.labels.end());
    for (size_t i = 1; i < b.document_starts.size(); ++i) out.document_starts.push_back(offset + b.document_starts[i]);
  }
  return out;
}

double loss_of(Context& cx, Model& model, const TokenBatch& batch) {
  Tape tape(cx, false);
  const Targets targets = target_rows(batch);
  Var hidden = model.forward(tape, batch, {});
  return head_loss(cx, model.head(), hidden->value, targets, false, 0).loss_sum / static_cast<double>(targets.count());
}

double loss_and_gradients(Context& cx, Model& model, const TokenBatch& batch, CheckpointPolicy policy,
                          uint64_t dropout_seed, int64_t mlp_tile) {
  Tape tape(cx, true);
  const Targets targets = target_rows(batch);
  Var hidden = model.forward(tape, batch, {policy, true, dropout_seed, mlp_tile});
  const double count = static_cast<double>(targets.count());
  HeadLoss loss = head_loss(cx, model.head(), hidden->value, targets, true, 1.0 / count);
  tape.backward(hidden, loss.d_hidden);
  return loss.loss_sum / count;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() && a.contiguous() && b.contiguous() &&
         std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

}  // namespace lorikeet::test
