// tokenizer.ggml.* as plain data; types and element types are checked here, meaning in core/text.
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/io/gguf.h"
#include "core/io/model_limits.h"

namespace lorikeet {
namespace {

const GgufArray* list_of(const GgufFile& f, const std::string& key) {
  const auto it = f.metadata().find(key);
  if (it == f.metadata().end()) return nullptr;
  const auto* a = std::get_if<GgufArray>(&it->second);
  if (!a) throw InputError(f.path(), "key " + key, "is no list");
  return a;
}

std::vector<std::string> texts(const GgufFile& f, const std::string& key) {
  const GgufArray* a = list_of(f, key);
  if (!a) return {};
  if (a->element_type != static_cast<int>(GgufType::text))
    throw InputError(f.path(), "key " + key, "is no list of texts");
  return a->strings;  // not always UTF-8: some vocabularies hold single raw bytes
}

std::vector<float> scores(const GgufFile& f, const std::string& key) {
  const GgufArray* a = list_of(f, key);
  if (!a) return {};
  if (a->element_type != static_cast<int>(GgufType::f32)) throw InputError(f.path(), "key " + key, "is no list of f32");
  return {a->numbers.begin(), a->numbers.end()};
}

std::vector<int32_t> token_types(const GgufFile& f, const std::string& key) {
  const GgufArray* a = list_of(f, key);
  if (!a) return {};
  if (a->element_type != static_cast<int>(GgufType::i32) && a->element_type != static_cast<int>(GgufType::u32))
    throw InputError(f.path(), "key " + key, "is no list of i32");
  std::vector<int32_t> out;
  for (const double v : a->numbers) {
    if (v < 0 || v > 1000)
      throw InputError(f.path(), "key " + key,
                       "entry " + std::to_string(out.size()) + " is " + shortest(v) + ", no token type");
    out.push_back(static_cast<int32_t>(v));
  }
  return out;
}

std::optional<int32_t> token_id(const GgufFile& f, const std::string& key) {
  // Some writers store -1 for "none".
  const auto v = f.integer(key, -1, INT64_MAX);
  if (!v || *v == -1 || *v == 0xffffffff) return std::nullopt;
  if (*v >= detail::kMaxWidth)
    throw InputError(f.path(), "key " + key, "found " + std::to_string(*v) + ", no token id");
  return static_cast<int32_t>(*v);
}

}  // namespace

GgufTokenizerData tokenizer_of_gguf(const GgufFile& f) {
  const std::string p = "tokenizer.ggml.";
  GgufTokenizerData d;
  d.model = f.text(p + "model").value_or("");
  d.pre = f.text(p + "pre").value_or("");
  d.tokens = texts(f, p + "tokens");
  d.merges = texts(f, p + "merges");
  d.scores = scores(f, p + "scores");
  d.token_types = token_types(f, p + "token_type");
  d.bos = token_id(f, p + "bos_token_id");
  d.eos = token_id(f, p + "eos_token_id");
  d.eot = token_id(f, p + "eot_token_id");
  d.eom = token_id(f, p + "eom_token_id");
  d.unk = token_id(f, p + "unknown_token_id");
  d.pad = token_id(f, p + "padding_token_id");
  d.add_bos = f.boolean(p + "add_bos_token");
  d.add_eos = f.boolean(p + "add_eos_token");
  d.add_space_prefix = f.boolean(p + "add_space_prefix");
  d.remove_extra_whitespaces = f.boolean(p + "remove_extra_whitespaces");
  d.huggingface_json = f.text("tokenizer.huggingface.json").value_or("");
  return d;
}

}  // namespace lorikeet
