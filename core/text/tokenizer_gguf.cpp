// The tokenizer of a GGUF: "gpt2" is byte-level BPE, "llama" is SentencePiece-like BPE by scores (formats.md 3.4).
// Differences to tokenizer.json: only kinds of tokens are known, no strip flags; control tokens are special, user-defined
// ones are found in every text.
#include <cmath>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/text/bpe_model.h"
#include "core/text/byte_level_families.h"
#include "core/text/pipeline_tokenizer.h"
#include "core/text/scored_bpe_model.h"

namespace lorikeet {
namespace {

// Tokens that end a turn in the families we know, whatever the file names as eos.
constexpr const char* kTurnEnds[] = {"<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<|end|>", "<|end_of_text|>", "<|endoftext|>", "<|return|>"};

std::vector<TokenType> types_of(const GgufTokenizerData& d, const std::string& file) {
  std::vector<TokenType> types(d.tokens.size(), TokenType::normal);
  if (d.token_types.empty()) return types;
  if (d.token_types.size() != d.tokens.size())
    throw InputError(file, "field tokenizer.ggml.token_type", fmt::format("{} entries for {} tokens", d.token_types.size(), d.tokens.size()));
  for (size_t i = 0; i < types.size(); ++i) {
    if (d.token_types[i] < 0 || d.token_types[i] > 6)
      throw InputError(file, fmt::format("field tokenizer.ggml.token_type[{}]", i), fmt::format("the type {} is not known", d.token_types[i]));
    types[i] = d.token_types[i] == 0 ? TokenType::normal : static_cast<TokenType>(d.token_types[i]);
  }
  return types;
}

Vocabulary vocabulary_of(const GgufTokenizerData& d, const std::string& file) {
  if (d.tokens.empty()) throw InputError(file, "field tokenizer.ggml.tokens", "the vocabulary is empty");
  if (d.tokens.size() > static_cast<size_t>(kLargestTokenId)) throw InputError(file, "field tokenizer.ggml.tokens", "more than 4 million tokens");
  Vocabulary v;
  for (size_t i = 0; i < d.tokens.size(); ++i) {
    if (!is_valid_utf8(d.tokens[i]) && d.tokens[i].size() != 1)
      throw InputError(file, fmt::format("field tokenizer.ggml.tokens[{}]", i), "not valid UTF-8");
    v.add(d.tokens[i], static_cast<int32_t>(i));
  }
  return v;
}

void add_special_tokens(TokenizerParts& p, const GgufTokenizerData& d, const std::vector<TokenType>& types) {
  for (size_t i = 0; i < types.size(); ++i) {
    const bool special = types[i] == TokenType::control || types[i] == TokenType::unknown;
    if ((!special && types[i] != TokenType::user_defined) || d.tokens[i].empty() || d.tokens[i].size() > kLongestAddedToken) continue;
    AddedToken t;
    t.id = static_cast<int32_t>(i);
    t.content = d.tokens[i];
    t.special = special;
    if (p.model->vocabulary().find(t.content) == t.id) p.added.add(std::move(t));
  }
}

std::optional<int32_t> checked_id(const TokenizerParts& p, std::optional<int32_t> id, const char* key) {
  if (id && !p.has_id(*id)) throw InputError(p.file, fmt::format("field tokenizer.ggml.{}", key), fmt::format("{} is not a token id of this vocabulary", *id));
  return id;
}

void set_ids(TokenizerParts& p, const GgufTokenizerData& d, bool bos_default, bool eos_default) {
  p.bos = checked_id(p, d.bos, "bos_token_id");
  p.eos = checked_id(p, d.eos, "eos_token_id");
  p.unk = checked_id(p, d.unk, "unknown_token_id");
  p.pad = checked_id(p, d.pad, "padding_token_id");
  p.add_stop(p.eos);
  p.add_stop(checked_id(p, d.eot, "eot_token_id"));
  p.add_stop(checked_id(p, d.eom, "eom_token_id"));
  for (const char* name : kTurnEnds)
    if (p.added.by_content(name)) p.add_stop(p.added.by_content(name)->id);
  p.prefix.clear();
  p.suffix.clear();
  if (d.add_bos.value_or(bos_default) && p.bos) p.prefix.push_back(*p.bos);
  if (d.add_eos.value_or(eos_default) && p.eos) p.suffix.push_back(*p.eos);
}

TokenizerParts byte_level_parts(const GgufTokenizerData& d, const std::string& file) {
  const ByteLevelFamily* family = byte_level_family(d.pre);
  if (!family)
    throw InputError(file, "field tokenizer.ggml.pre", fmt::format("the pre-tokenizer \"{}\" is not supported (known: {})", printable(d.pre, 40), byte_level_family_names()));
  if (d.merges.empty()) throw InputError(file, "field tokenizer.ggml.merges", "a byte-level BPE tokenizer needs merges; the file has none");
  const auto types = types_of(d, file);
  BpeOptions o;
  o.ignore_merges = family->ignore_merges;
  auto model = std::make_unique<BpeModel>(vocabulary_of(d, file), o);
  model->reserve_merges(d.merges.size());
  std::string all;
  for (size_t i = 0; i < d.merges.size(); ++i) {
    const std::string& line = d.merges[i];
    // Tokens may hold blanks themselves in a few files: the cut is the first blank after the first character.
    const size_t blank = line.find(' ', 1);
    if (blank == std::string::npos || !model->add_merge(std::string_view(line).substr(0, blank), std::string_view(line).substr(blank + 1)))
      throw InputError(file, fmt::format("field tokenizer.ggml.merges[{}]", i), "not two tokens of the vocabulary whose union is one: " + printable(line, 60));
    all += line + '\n';
  }
  TokenizerParts p;
  p.file = file;
  p.kind = "byte-level BPE";
  p.model = std::move(model);
  p.merges_digest = sha256_of_text(all);
  apply_family(*family, p);
  add_special_tokens(p, d, types);
  set_ids(p, d, family->adds_bos, false);
  return p;
}

TokenizerParts scored_parts(const GgufTokenizerData& d, const std::string& file) {
  const auto types = types_of(d, file);
  if (d.scores.size() != d.tokens.size())
    throw InputError(file, "field tokenizer.ggml.scores", fmt::format("{} scores for {} tokens", d.scores.size(), d.tokens.size()));
  std::string all;
  for (size_t i = 0; i < d.scores.size(); ++i) {
    if (!std::isfinite(d.scores[i])) throw InputError(file, fmt::format("field tokenizer.ggml.scores[{}]", i), "the score is not a number");
    all += shortest(static_cast<double>(d.scores[i])) + '\n';
  }
  std::optional<int32_t> unk = d.unk;
  for (size_t i = 0; i < types.size() && !unk; ++i)
    if (types[i] == TokenType::unknown) unk = static_cast<int32_t>(i);
  if (unk && (*unk < 0 || static_cast<size_t>(*unk) >= d.tokens.size())) unk.reset();
  TokenizerParts p;
  p.file = file;
  p.kind = "SentencePiece BPE";
  p.model = std::make_unique<ScoredBpeModel>(vocabulary_of(d, file), d.scores, types, unk);
  p.merges_digest = sha256_of_text(all);
  const bool space_prefix = d.add_space_prefix.value_or(true);
  if (space_prefix) p.normalizer.add(prepend_step(" "));
  p.normalizer.add(replace_step(" ", "\xE2\x96\x81"));
  p.decoder = sentencepiece_decoder(space_prefix);
  add_special_tokens(p, d, types);
  set_ids(p, d, true, false);
  if (!p.unk) p.unk = unk;
  return p;
}

}  // namespace

std::shared_ptr<Tokenizer> tokenizer_from_gguf(const GgufTokenizerData& data, const std::string& file) {
  if (data.model == "gpt2") return make_tokenizer(byte_level_parts(data, file));
  if (data.model == "llama") return make_tokenizer(scored_parts(data, file));
  if (!data.huggingface_json.empty()) {
    TokenizerParts p = parts_from_json(data.huggingface_json, file);
    const auto prefix = p.prefix, suffix = p.suffix;
    set_ids(p, data, false, false);
    p.prefix = prefix;
    p.suffix = suffix;
    return make_tokenizer(std::move(p));
  }
  throw InputError(file, "field tokenizer.ggml.model", fmt::format("the tokenizer \"{}\" is not supported (known: gpt2, llama)", printable(data.model, 40)));
}

}  // namespace lorikeet
