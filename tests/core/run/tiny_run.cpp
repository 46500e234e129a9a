#include "tests/core/run/tiny_run.h"

#include "core/base/files.h"
#include "core/base/random.h"
#include "core/io/run_folder.h"
#include "core/io/safetensors.h"

namespace lorikeet::test {
namespace {

constexpr int64_t kVocab = 64, kWidth = 32, kInner = 64, kLayers = 2, kKeyValue = 16;

Tensor random_values(Shape shape, uint64_t stream, double scale) {
  Tensor t = Tensor::empty(std::move(shape));
  RandomStream random(7, stream);
  for (int64_t i = 0; i < t.size(); ++i) t.data<float>()[i] = static_cast<float>(scale * random.normal());
  return t;
}

}  // namespace

void write_tiny_model(const std::string& folder, double scale) {
  fs::create_directories(folder);
  const Json config = {{"architectures", {"LlamaForCausalLM"}}, {"model_type", "llama"}, {"vocab_size", kVocab}, {"hidden_size", kWidth},
                       {"intermediate_size", kInner}, {"num_hidden_layers", kLayers}, {"num_attention_heads", 4}, {"num_key_value_heads", 2},
                       {"head_dim", 8}, {"max_position_embeddings", 64}, {"rms_norm_eps", 1e-5}, {"rope_theta", 10000.0},
                       {"tie_word_embeddings", true}, {"hidden_act", "silu"}, {"torch_dtype", "float32"}, {"attention_bias", false}, {"mlp_bias", false}};
  write_file_atomic(folder + "/config.json", dump_json(config, 2));
  std::vector<std::pair<std::string, Tensor>> tensors;
  const auto add = [&](const std::string& name, Shape shape, bool norm) {
    Tensor t = random_values(std::move(shape), stream_of(name), norm ? 0.05 : 0.15 * scale);
    for (int64_t i = 0; norm && i < t.size(); ++i) t.data<float>()[i] += 1;
    tensors.emplace_back(name, t);
  };
  add("model.embed_tokens.weight", {kVocab, kWidth}, false);
  add("model.norm.weight", {kWidth}, true);
  for (int64_t l = 0; l < kLayers; ++l) {
    const std::string p = "model.layers." + std::to_string(l) + ".";
    for (const char* n : {"input_layernorm.weight", "post_attention_layernorm.weight"}) add(p + n, {kWidth}, true);
    add(p + "self_attn.q_proj.weight", {kWidth, kWidth}, false);
    add(p + "self_attn.k_proj.weight", {kKeyValue, kWidth}, false);
    add(p + "self_attn.v_proj.weight", {kKeyValue, kWidth}, false);
    add(p + "self_attn.o_proj.weight", {kWidth, kWidth}, false);
    add(p + "mlp.gate_proj.weight", {kInner, kWidth}, false);
    add(p + "mlp.up_proj.weight", {kInner, kWidth}, false);
    add(p + "mlp.down_proj.weight", {kWidth, kInner}, false);
  }
  write_safetensors(folder + "/model.safetensors", tensors);
}

void write_tiny_data(const std::string& file, int rows, uint64_t seed) {
  std::string text;
  RandomStream random(seed, stream_of("tiny data"));
  for (int r = 0; r < rows; ++r) {
    const auto length = 4 + random.below(17);
    Json ids = Json::array(), labels = Json::array();
    auto id = static_cast<int>(random.below(static_cast<uint64_t>(kVocab)));
    for (uint64_t t = 0; t < length; ++t) {
      ids.push_back(id);
      labels.push_back(t < length / 3 ? -100 : id);
      id = (id * 5 + 3) % static_cast<int>(kVocab);
    }
    text += dump_json({{"input_ids", ids}, {"labels", labels}}) + "\n";
  }
  fs::create_directories(fs::path(file).parent_path());
  write_file_atomic(file, text);
}

RunConfig tiny_config(const std::string& model, const std::string& data) {
  RunConfig c;
  c.model.path = model;
  c.data.train = {data};
  c.data.validation_fraction = 0.1;
  c.data.max_length = 48;
  c.adapter.rank = 4;
  c.adapter.alpha = 8;
  c.adapter.dropout = 0.1;
  c.optimizer.learning_rate = 5e-3;
  c.training.epochs = 2.5;
  c.training.batch_size = 2;
  c.training.gradient_accumulation = 3;
  c.training.save_every = 3;
  c.training.eval_every = 4;
  c.device.threads = 1;
  return c;
}

RunOutcome run_to_end(Job& job, std::stop_token stop, const JobEvents& events) {
  RunOutcome out;
  out.outcome = job.run(stop, events);
  out.result = job.result();
  return out;
}

std::string timeless_metrics(const std::string& run) {
  uint64_t from = 0;
  std::string out;
  for (Json line : read_metrics(run, from)) {
    for (const char* key : {"time", "tokens_per_s", "step_ms", "host_bytes", "device_bytes"}) line.erase(key);
    out += dump_json(line) + "\n";
  }
  return out;
}

std::string essence_of_run(const std::string& run) {
  const auto steps = RunFolder::checkpoint_steps(run);
  const std::string newest = steps.empty() ? std::string() : RunFolder::checkpoint_path(run, steps.front());
  std::string out = "adapter " + sha256_of_file(run + "/adapter/adapter_model.safetensors") + "\n";
  out += "settings " + sha256_of_file(run + "/adapter/adapter_config.json") + "\n";
  if (!newest.empty()) out += "optimizer " + sha256_of_file(newest + "/optimizer.safetensors") + "\n";
  return out + timeless_metrics(run);
}

}  // namespace lorikeet::test
