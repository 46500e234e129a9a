// A GGUF file as an opened model: names and the order of q and k rows become those of Hugging Face.
#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/io/gguf.h"
#include "core/io/opened_model.h"

namespace lorikeet::detail {
namespace {

bool is_query_or_key(const std::string& hf_name) {
  return hf_name.find(".self_attn.q_proj.") != std::string::npos ||
         hf_name.find(".self_attn.k_proj.") != std::string::npos;
}

StoredTensor stored_tensor(const GgufFile& file, const GgufTensor& t, const ModelConfig& c) {
  StoredTensor out;
  const std::string name = hf_name_of_gguf(t.name);
  out.info = {name.empty() ? t.name : name, std::string(stored_type(t.type)->name), t.shape, t.bytes};
  out.file = file.path();
  out.ggml_type = t.type;
  out.bytes = file.bytes(t);
  out.mapping = file.mapping();
  if (is_query_or_key(name)) out.interleaved_head = c.head_dim;
  return out;
}

Json variables_of(const TokenizerPtr& tokenizer) {
  Json out = Json::object();
  if (!tokenizer) return out;
  const auto set = [&](const char* name, const std::optional<int32_t>& id) {
    if (id) out[name] = tokenizer->token_text(*id);
  };
  set("bos_token", tokenizer->bos);
  set("eos_token", tokenizer->eos);
  set("pad_token", tokenizer->pad);
  set("unk_token", tokenizer->unk);
  return out;
}

}  // namespace

OpenedModel open_gguf_model(const std::string& path) {
  const GgufFile file(path);
  OpenedModel model;
  model.path = path;
  model.container = "gguf";
  model.config = model_config_of_gguf(file);
  for (const GgufTensor& t : file.tensors())
    if (t.name != "rope_freqs.weight") model.tensors.push_back(stored_tensor(file, t, model.config));
  match_tensors(model);
  const GgufTokenizerData data = tokenizer_of_gguf(file);
  if (!data.tokens.empty() || !data.huggingface_json.empty()) model.tokenizer = tokenizer_from_gguf(data, path);
  check_tokenizer_fits(model);
  model.chat_template = file.text("tokenizer.chat_template").value_or("");
  model.template_variables = variables_of(model.tokenizer);
  model.base_name = base_name_of(path);
  model.weight_files = {path};
  if (file.trailing_bytes() > 0)
    model.warnings.push_back(fmt::format("{} bytes behind the last tensor are ignored", file.trailing_bytes()));
  if (!model.tokenizer) model.warnings.push_back("the file carries no tokenizer");
  return model;
}

}  // namespace lorikeet::detail
