#include "tests/bench/random_model.h"

#include "core/base/files.h"
#include "core/base/json.h"
#include "core/base/random.h"
#include "core/io/safetensors.h"

namespace lorikeet::bench {
namespace {

constexpr int64_t kLayers = 30, kWidth = 576, kKeyWidth = 192, kInner = 1536, kVocabulary = 49152;
constexpr double kSpread = 0.02;

Json shape_of_smollm2() {
  return {{"architectures", {"LlamaForCausalLM"}}, {"model_type", "llama"}, {"hidden_act", "silu"},
          {"hidden_size", kWidth}, {"intermediate_size", kInner}, {"num_hidden_layers", kLayers},
          {"num_attention_heads", 9}, {"num_key_value_heads", 3}, {"head_dim", 64}, {"vocab_size", kVocabulary},
          {"max_position_embeddings", 8192}, {"rms_norm_eps", 1e-5}, {"rope_theta", 100000.0},
          {"tie_word_embeddings", true}, {"attention_bias", false}, {"mlp_bias", false}};
}

Tensor random_matrix(const std::string& name, int64_t rows, int64_t columns) {
  Tensor t = Tensor::empty({rows, columns});
  RandomStream random(1, stream_of(name));
  for (int64_t i = 0; i < t.size(); ++i) t.data<float>()[i] = static_cast<float>(random.uniform(-kSpread, kSpread));
  return t.to(DType::bf16);
}

Tensor ones(int64_t size) {
  Tensor t = Tensor::empty({size});
  for (int64_t i = 0; i < size; ++i) t.data<float>()[i] = 1;
  return t.to(DType::bf16);
}

}  // namespace

void write_random_model(const std::string& folder) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  const auto matrix = [&](const std::string& name, int64_t rows, int64_t columns) {
    tensors.emplace_back(name, random_matrix(name, rows, columns));
  };
  matrix("model.embed_tokens.weight", kVocabulary, kWidth);
  for (int64_t layer = 0; layer < kLayers; ++layer) {
    const std::string block = "model.layers." + std::to_string(layer) + ".";
    tensors.emplace_back(block + "input_layernorm.weight", ones(kWidth));
    tensors.emplace_back(block + "post_attention_layernorm.weight", ones(kWidth));
    matrix(block + "self_attn.q_proj.weight", kWidth, kWidth);
    matrix(block + "self_attn.k_proj.weight", kKeyWidth, kWidth);
    matrix(block + "self_attn.v_proj.weight", kKeyWidth, kWidth);
    matrix(block + "self_attn.o_proj.weight", kWidth, kWidth);
    matrix(block + "mlp.gate_proj.weight", kInner, kWidth);
    matrix(block + "mlp.up_proj.weight", kInner, kWidth);
    matrix(block + "mlp.down_proj.weight", kWidth, kInner);
  }
  tensors.emplace_back("model.norm.weight", ones(kWidth));
  write_safetensors(folder + "/model.safetensors", tensors);
  write_file_atomic(folder + "/config.json", dump_json(shape_of_smollm2()));
}

}  // namespace lorikeet::bench
