// config.json, tokenizer and generation settings: copied where the source is a folder, made where it is a GGUF.
#include "core/export/model_folder_files.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/io/gguf.h"

namespace lorikeet::detail {
namespace {

std::string folder_of(const ModelFiles& files) {
  std::error_code none;
  if (fs::is_directory(files.path(), none)) return files.path();
  const std::string parent = fs::path(files.path()).parent_path().string();
  return parent.empty() ? "." : parent;
}

/// GGUF keeps llama3 scaling as divisors; the settings behind them are found again by trying the ones there are.
Json llama3_settings(const ModelConfig& c) {
  const float factor = *std::max_element(c.rope.factors.begin(), c.rope.factors.end());
  for (int64_t original = 1 << 4; original <= 1 << 20; original *= 2) {
    ModelConfig guess = c;
    guess.rope = {"llama3", static_cast<double>(factor), 1, 4, original, {}};
    const auto wanted = rope_inverse_frequencies(c), got = rope_inverse_frequencies(guess);
    bool same = true;
    for (size_t i = 0; i < wanted.size(); ++i) same &= std::fabs(got[i] - wanted[i]) <= 1e-5 * wanted[i];
    if (same)
      return {{"rope_type", "llama3"},
              {"factor", factor},
              {"low_freq_factor", 1.0},
              {"high_freq_factor", 4.0},
              {"original_max_position_embeddings", original}};
  }
  throw RunError("the rope divisors of this GGUF are those of no llama3 setting; config.json has no words for them");
}

Json rope_json(const ModelConfig& c) {
  if (c.rope.kind == "none") return nullptr;
  if (c.rope.kind == "linear") return {{"rope_type", "linear"}, {"factor", c.rope.factor}};
  if (c.rope.kind == "factors") return llama3_settings(c);
  return {{"rope_type", c.rope.kind},
          {"factor", c.rope.factor},
          {"low_freq_factor", c.rope.low_freq_factor},
          {"high_freq_factor", c.rope.high_freq_factor},
          {"original_max_position_embeddings", c.rope.original_max_positions}};
}

Json config_of_sizes(const ModelFiles& files, const std::string& dtype) {
  const ModelConfig& c = files.config();
  const bool window = c.sliding_window > 0;  // in this family only Mistral's class reads one
  Json j = {{"architectures", Json::array({window ? "MistralForCausalLM" : c.architecture})},
            {"attention_bias", c.attention_bias},
            {"attention_dropout", 0.0},
            {"head_dim", c.head_dim},
            {"hidden_act", c.activation == GateActivation::gelu_tanh ? "gelu_pytorch_tanh" : "silu"},
            {"hidden_size", c.hidden_size},
            {"intermediate_size", c.intermediate_size},
            {"max_position_embeddings", c.max_positions},
            {"mlp_bias", c.mlp_bias},
            {"model_type", window ? "mistral" : "llama"},
            {"num_attention_heads", c.heads},
            {"num_hidden_layers", c.layers},
            {"num_key_value_heads", c.kv_heads},
            {"rms_norm_eps", c.norm_eps},
            {"rope_scaling", rope_json(c)},
            {"rope_theta", c.rope_theta},
            {"tie_word_embeddings", c.tied_head},
            {"torch_dtype", dtype},
            {"use_cache", true},
            {"vocab_size", c.vocab_size}};
  if (window) j["sliding_window"] = c.sliding_window;
  if (const TokenizerPtr t = files.tokenizer()) {
    j["bos_token_id"] = t->bos ? Json(*t->bos) : Json(nullptr);
    j["eos_token_id"] = t->eos ? Json(*t->eos) : Json(nullptr);
    j["pad_token_id"] = t->pad ? Json(*t->pad) : Json(nullptr);
  }
  return j;
}

void write_json(const std::string& path, const Json& j) { write_file_atomic(path, dump_json(j, 2) + "\n"); }

std::vector<std::string> copy_tokenizer_files(const std::string& from, const std::string& out) {
  bool any = false;
  for (const char* name : {"tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt", "tokenizer_config.json",
                           "special_tokens_map.json", "added_tokens.json", "chat_template.jinja", "chat_template.json",
                           "generation_config.json"}) {
    std::error_code none;
    const std::string path = from + "/" + name;
    if (!fs::is_regular_file(path, none)) continue;
    write_file_atomic(out + "/" + name, read_file(path));
    any |= std::string_view(name).starts_with("tokenizer.") || std::string_view(name) == "vocab.json";
  }
  if (any) return {};
  return {"the source has no tokenizer; the folder holds weights only"};
}

std::vector<std::string> make_tokenizer_files(const ModelFiles& files, const std::string& out) {
  const TokenizerPtr t = files.tokenizer();
  if (!t) return {"the GGUF carries no tokenizer; take the tokenizer's files from the original model"};
  const GgufTokenizerData data = tokenizer_of_gguf(GgufFile(files.path()));
  write_json(out + "/generation_config.json", {{"bos_token_id", t->bos ? Json(*t->bos) : Json(nullptr)},
                                               {"eos_token_id", t->stop_ids},
                                               {"pad_token_id", t->pad ? Json(*t->pad) : Json(nullptr)}});
  Json settings = files.template_variables();
  settings["clean_up_tokenization_spaces"] = false;
  settings["model_max_length"] = files.config().max_positions;
  settings["tokenizer_class"] = "PreTrainedTokenizerFast";
  if (const std::string chat = files.chat_template_source(); !chat.empty()) settings["chat_template"] = chat;
  std::string why;
  if (!data.huggingface_json.empty()) {
    write_file_atomic(out + "/tokenizer.json", data.huggingface_json);
  } else {
    const Json tokenizer = tokenizer_json_of_gguf(data, why);
    if (tokenizer.is_null()) return {why};
    write_file_atomic(out + "/tokenizer.json", dump_json(tokenizer, 1) + "\n");
  }
  write_json(out + "/tokenizer_config.json", settings);
  return {};
}

}  // namespace

Json hf_config_json(const ModelFiles& files, const std::string& dtype) {
  if (files.container() == "gguf") return config_of_sizes(files, dtype);
  Json j = read_json_file(folder_of(files) + "/config.json");
  j.erase("quantization_config");
  return j;
}

std::vector<std::string> write_tokenizer_files(const ModelFiles& files, const std::string& out) {
  return files.container() == "gguf" ? make_tokenizer_files(files, out) : copy_tokenizer_files(folder_of(files), out);
}

}  // namespace lorikeet::detail
