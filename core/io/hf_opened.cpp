// A Hugging Face folder as an opened model.
#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/io/four_bit_checkpoint.h"
#include "core/io/hf_config.h"
#include "core/io/opened_model.h"
#include "core/io/shards.h"

namespace lorikeet::detail {
namespace {

constexpr uint64_t kMaxConfigBytes = 8u << 20;

int block_type_of(const std::string& dtype) {
  if (dtype == "F32") return 0;
  if (dtype == "F16") return 1;
  return dtype == "BF16" ? 30 : -1;  // -1: refused by name when the model needs the tensor
}

StoredTensor plain_tensor(const std::string& name, const ShardTensor& t) {
  StoredTensor out;
  out.info = {name, t.entry->dtype, t.entry->shape, t.entry->end - t.entry->begin};
  out.file = t.file->path();
  out.ggml_type = block_type_of(t.entry->dtype);
  out.bytes = t.file->bytes(*t.entry);
  out.mapping = t.file->mapping();
  return out;
}

/// A special token as configs write it: a text, or an object with the text in "content".
std::optional<std::string> token_text(const Json& config, const char* key) {
  if (!config.is_object()) return std::nullopt;
  const auto it = config.find(key);
  if (it == config.end()) return std::nullopt;
  if (it->is_string()) return it->get<std::string>();
  if (it->is_object() && it->contains("content") && (*it)["content"].is_string())
    return (*it)["content"].get<std::string>();
  return std::nullopt;
}

Json small_json(const std::string& path) {
  std::error_code none;
  return fs::is_regular_file(path, none) ? read_json_file(path, 64u << 20) : Json::object();
}

Json variables_of(const std::string& folder, const TokenizerPtr& tokenizer) {
  const Json config = small_json(folder + "/tokenizer_config.json"),
             map = small_json(folder + "/special_tokens_map.json");
  Json out = Json::object();
  for (const char* key : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}) {
    auto text = token_text(config, key);
    if (!text) text = token_text(map, key);
    if (text) out[key] = *text;
  }
  if (!tokenizer) return out;
  if (!out.contains("bos_token") && tokenizer->bos) out["bos_token"] = tokenizer->token_text(*tokenizer->bos);
  if (!out.contains("eos_token") && tokenizer->eos) out["eos_token"] = tokenizer->token_text(*tokenizer->eos);
  return out;
}

}  // namespace

OpenedModel open_hf_model(const std::string& folder, const std::string& only_file) {
  const std::string config_path = folder + "/config.json";
  const HfConfig config = parse_hf_config(read_json_file(config_path, kMaxConfigBytes), config_path);
  OpenedModel model;
  model.path = only_file.empty() ? folder : only_file;
  model.container = "safetensors";
  model.config = config.model;
  model.warnings = config.warnings;
  const ShardedTensors shards = open_shards(folder, only_file);
  for (const std::string& w : shards.warnings) model.warnings.push_back(w);
  for (const auto& [name, t] : shards.tensors) {
    if (is_four_bit_part(shards, name)) continue;
    auto four_bit = four_bit_tensor(shards, name);
    model.tensors.push_back(four_bit ? std::move(*four_bit) : plain_tensor(name, t));
  }
  match_tensors(model);
  model.tokenizer = tokenizer_from_folder(folder);
  check_tokenizer_fits(model);
  if (!model.tokenizer) model.warnings.push_back("the folder has no tokenizer");
  model.chat_template = chat_template_of_folder(folder);
  model.template_variables = variables_of(folder, model.tokenizer);
  model.base_name = base_name_of(folder);
  model.weight_files = shards.files;
  return model;
}

}  // namespace lorikeet::detail
