#include "core/text/byte_level_families.h"

#include "core/base/text.h"

namespace lorikeet {
namespace {

// Patterns as the published tokenizers have them; which name means which: llama.cpp, src/llama-vocab.cpp.
constexpr const char* kDigit = R"(\p{N})";
constexpr const char* kTekkenPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kGpt4oPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen35Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kFalconPunctuation = R"([\p{P}\$\+<=>\^~\|`]+)";
constexpr const char* kDefaultPunctuation = R"([\p{P}\$\+<=>\^~\|]+)";
constexpr const char* kThreeDigits = "[0-9][0-9][0-9]";

std::vector<ByteLevelFamily> make_families() {
  std::vector<ByteLevelFamily> all;
  const auto add = [&](std::initializer_list<const char*> names, ByteLevelFamily f) {
    for (const char* n : names) f.name = n, all.push_back(f);
  };
  add({"gpt-2", "gpt2", "phi-2", "mpt", "olmo", "jais", "trillion", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "jina-v2-code"},
      {"", {kGpt2Pattern}, false, false, false});
  add({"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}, {"", {kDigit, kGpt2Pattern}, false, false, false});
  add({"qwen2", "deepseek-r1-qwen", "megrez"}, {"", {kQwen2Pattern}, false, false, true});
  add({"stablelm2", "hunyuan"}, {"", {kQwen2Pattern}, false, false, false});
  add({"qwen35"}, {"", {kQwen35Pattern}, false, false, true});
  add({"llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral"}, {"", {kLlama3Pattern}, true, true, false});
  add({"dbrx", "smaug-bpe"}, {"", {kLlama3Pattern}, false, false, false});
  add({"tekken"}, {"", {kTekkenPattern}, true, true, false});
  add({"gpt-4o", "llama4"}, {"", {kGpt4oPattern}, false, false, false});
  add({"falcon"}, {"", {kFalconPunctuation, kGpt2Pattern, kThreeDigits}, false, false, false});
  add({"default", ""}, {"", {kDefaultPunctuation, kGpt2Pattern, R"(\p{N}+)", kThreeDigits}, false, false, false});
  return all;
}

const std::vector<ByteLevelFamily>& families() {
  static const std::vector<ByteLevelFamily> all = make_families();
  return all;
}

}  // namespace

const ByteLevelFamily* byte_level_family(std::string_view name) {
  for (const auto& f : families())
    if (f.name == name) return &f;
  return nullptr;
}

std::string byte_level_family_names() {
  std::vector<std::string> names;
  for (const auto& f : families())
    if (!f.name.empty()) names.push_back(f.name);
  return join(names, ", ");
}

void apply_family(const ByteLevelFamily& family, TokenizerParts& parts) {
  if (family.nfc) parts.normalizer.add(nfc_step());
  for (const auto& expression : family.patterns) {
    auto pattern = std::make_shared<const Pattern>(Pattern::regex(expression, "(built in)", "the pattern of " + family.name));
    parts.pre_tokenizer.add(split_step(std::move(pattern), SplitBehavior::isolated, false));
  }
  parts.pre_tokenizer.add(byte_level_step(false, false));
  parts.decoder = byte_level_decoder();
}

}  // namespace lorikeet
