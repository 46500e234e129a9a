// tokenizer.json of Hugging Face (formats.md 4.1): every member is checked, unknown kinds are refused by name.
// "truncation" and "padding" are ignored: they are about serving, not about the tokens of a text.
#include <cmath>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/text/bpe_model.h"
#include "core/text/json_fields.h"
#include "core/text/pipeline_tokenizer.h"
#include "core/text/unigram_model.h"

namespace lorikeet {
namespace {

Vocabulary vocabulary_of(const Json& object, const JsonPlace& place) {
  if (object.empty()) refuse(place, "the vocabulary is empty");
  Vocabulary v;
  for (const auto& [text, id] : object.items()) {
    const JsonPlace here = place.member(printable(text, 40));
    v.add(text, static_cast<int32_t>(integer_of(id, 0, kLargestTokenId, here)));
  }
  return v;
}

// "left right" (older files) or ["left", "right"].
std::pair<std::string, std::string> merge_of(const Json& entry, const JsonPlace& place) {
  if (entry.is_string()) {
    const std::string& line = entry.get_ref<const std::string&>();
    const size_t blank = line.find(' ');
    if (blank != std::string::npos && line.find(' ', blank + 1) == std::string::npos)
      return {line.substr(0, blank), line.substr(blank + 1)};
  } else if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string()) {
    return {entry[0].get<std::string>(), entry[1].get<std::string>()};
  }
  refuse(place, "a merge is \"left right\" or [\"left\", \"right\"], found " + printable(entry.dump(-1, ' ', false, Json::error_handler_t::replace), 60));
}

TokenModelPtr bpe_of(const Json& m, const JsonPlace& place, std::string& digest) {
  BpeOptions o;
  o.unk_token = optional_text_at(m, "unk_token", place);
  o.continuing_subword_prefix = optional_text_at(m, "continuing_subword_prefix", place).value_or("");
  o.end_of_word_suffix = optional_text_at(m, "end_of_word_suffix", place).value_or("");
  o.fuse_unk = flag_at(m, "fuse_unk", false, place);
  o.byte_fallback = flag_at(m, "byte_fallback", false, place);
  o.ignore_merges = flag_at(m, "ignore_merges", false, place);
  auto model = std::make_unique<BpeModel>(vocabulary_of(object_at(m, "vocab", place), place.member("vocab")), o);
  const Json& merges = array_at(m, "merges", place);
  model->reserve_merges(merges.size());
  std::string all;
  for (size_t i = 0; i < merges.size(); ++i) {
    const JsonPlace here = place.member("merges").element(i);
    const auto [left, right] = merge_of(merges[i], here);
    if (!model->add_merge(left, right))
      refuse(here, fmt::format("the merge of \"{}\" and \"{}\" needs tokens that the vocabulary lacks", printable(left, 40), printable(right, 40)));
    all += left + ' ' + right + '\n';
  }
  digest = sha256_of_text(all);
  return model;
}

TokenModelPtr unigram_of(const Json& m, const JsonPlace& place, std::string& digest, std::optional<int32_t>& unk) {
  const Json& list = array_at(m, "vocab", place);
  if (list.empty()) refuse(place.member("vocab"), "the vocabulary is empty");
  if (list.size() > static_cast<size_t>(kLargestTokenId)) refuse(place.member("vocab"), "more than 4 million pieces");
  Vocabulary v;
  std::vector<double> scores;
  std::string all;
  for (size_t i = 0; i < list.size(); ++i) {
    const JsonPlace here = place.member("vocab").element(i);
    const Json& e = list[i];
    if (!e.is_array() || e.size() != 2 || !e[0].is_string() || !e[1].is_number()) refuse(here, "a piece is [\"text\", score]");
    const double score = e[1].get<double>();
    if (!std::isfinite(score) || std::fabs(score) > 1e12) refuse(here, "the score is out of range");
    auto text = e[0].get<std::string>();
    if (text.size() > kLongestUnigramPiece) refuse(here, fmt::format("the piece has {} bytes; at most {} are read", text.size(), kLongestUnigramPiece));
    all += text + ' ' + shortest(score) + '\n';
    v.add(std::move(text), static_cast<int32_t>(i));
    scores.push_back(score);
  }
  if (const Json* id = member_of(m, "unk_id"))
    unk = static_cast<int32_t>(integer_of(*id, 0, static_cast<int64_t>(list.size()) - 1, place.member("unk_id")));
  digest = sha256_of_text(all);
  return std::make_unique<UnigramModel>(std::move(v), std::move(scores), unk, flag_at(m, "byte_fallback", false, place));
}

void read_model(TokenizerParts& p, const Json& root) {
  const JsonPlace top{p.file, ""};
  const Json& m = object_at(root, "model", top);
  const JsonPlace place = top.member("model");
  std::string type = optional_text_at(m, "type", place).value_or(member_of(m, "merges") ? "BPE" : "");
  if (type == "BPE") {
    p.model = bpe_of(m, place, p.merges_digest);
    p.kind = flag_at(m, "byte_fallback", false, place) ? "SentencePiece BPE" : "byte-level BPE";
    if (const auto unk = optional_text_at(m, "unk_token", place)) p.unk = p.model->vocabulary().find(*unk);
  } else if (type == "Unigram") {
    p.model = unigram_of(m, place, p.merges_digest, p.unk);
    p.kind = "SentencePiece unigram";
  } else {
    refuse(place, fmt::format("the tokenizer model \"{}\" is not supported (known: BPE, Unigram)", printable(type, 40)));
  }
}

void read_added(TokenizerParts& p, const Json& root) {
  if (!member_of(root, "added_tokens")) return;
  const JsonPlace top{p.file, ""};
  const Json& list = array_at(root, "added_tokens", top);
  for (size_t i = 0; i < list.size(); ++i) {
    const JsonPlace here = top.member("added_tokens").element(i);
    if (!list[i].is_object()) refuse(here, "an object was expected");
    AddedToken t = added_token_of(list[i], here);
    t.id = static_cast<int32_t>(integer_at(list[i], "id", 0, kLargestTokenId, here));
    // As in the original: a content that the model knows keeps the model's id.
    if (const auto id = p.model->vocabulary().find(t.content)) t.id = *id;
    if (!t.content.empty()) p.added.add(std::move(t));
  }
}

void read_template(TokenizerParts& p, const Json& j, const JsonPlace& place) {
  const Json& single = array_at(j, "single", place);
  const Json* specials = member_of(j, "special_tokens");
  bool after = false;
  std::vector<int32_t> before_ids, after_ids;
  for (size_t i = 0; i < single.size(); ++i) {
    const JsonPlace here = place.member("single").element(i);
    if (member_of(single[i], "Sequence")) {
      after = true;
      continue;
    }
    const std::string name = text_at(object_at(single[i], "SpecialToken", here), "id", here);
    const Json* entry = specials && specials->is_object() ? member_of(*specials, name.c_str()) : nullptr;
    if (!entry || !entry->is_object()) refuse(here, fmt::format("\"{}\" is not described under special_tokens", printable(name, 40)));
    const Json& ids = array_at(*entry, "ids", here);
    for (size_t k = 0; k < ids.size(); ++k) {
      const auto id = static_cast<int32_t>(integer_of(ids[k], 0, kLargestTokenId, here));
      if (!p.has_id(id)) refuse(here, fmt::format("the id {} of \"{}\" is not in the vocabulary", id, printable(name, 40)));
      (after ? after_ids : before_ids).push_back(id);
    }
  }
  if (!after) refuse(place.member("single"), "no {\"Sequence\": ...} says where the text goes");
  p.prefix.insert(p.prefix.begin(), before_ids.begin(), before_ids.end());
  p.suffix.insert(p.suffix.end(), after_ids.begin(), after_ids.end());
}

// [name, id] of "cls" and "sep" in the BERT and RoBERTa processors.
int32_t pair_id(const TokenizerParts& p, const Json& j, const char* name, const JsonPlace& place) {
  const Json& pair = array_at(j, name, place);
  const JsonPlace here = place.member(name);
  if (pair.size() != 2) refuse(here, "[text, id] was expected");
  const int64_t id = integer_of(pair[1], 0, kLargestTokenId, here);
  if (!p.has_id(id)) refuse(here, fmt::format("the id {} is not in the vocabulary", id));
  return static_cast<int32_t>(id);
}

void read_post_processor(TokenizerParts& p, const Json& j, const JsonPlace& place, int depth) {
  const std::string type = text_at(j, "type", place);
  if (type == "ByteLevel") return;  // trims offsets only; ours keep the blank
  if (type == "TemplateProcessing") return read_template(p, j, place);
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    p.prefix.insert(p.prefix.begin(), pair_id(p, j, "cls", place));
    p.suffix.push_back(pair_id(p, j, "sep", place));
    return;
  }
  if (type != "Sequence")
    refuse(place, fmt::format("the post-processor \"{}\" is not supported (known: ByteLevel, TemplateProcessing, BertProcessing, "
                              "RobertaProcessing, Sequence)", printable(type, 40)));
  if (depth > 8) refuse(place, "post-processors nested deeper than 8");
  const Json& list = array_at(j, "processors", place);
  for (size_t i = 0; i < list.size(); ++i) read_post_processor(p, list[i], place.member("processors").element(i), depth + 1);
}

}  // namespace

AddedToken added_token_of(const Json& j, const JsonPlace& place) {
  AddedToken t;
  t.content = text_at(j, "content", place);
  t.single_word = flag_at(j, "single_word", false, place);
  t.lstrip = flag_at(j, "lstrip", false, place);
  t.rstrip = flag_at(j, "rstrip", false, place);
  t.special = flag_at(j, "special", false, place);
  t.normalized = flag_at(j, "normalized", !t.special, place);
  if (t.content.size() > kLongestAddedToken)
    refuse(place, fmt::format("the content has {} bytes; at most {} are read", t.content.size(), kLongestAddedToken));
  return t;
}

TokenizerParts parts_from_json(std::string_view json_text, const std::string& file) {
  const Json root = parse_json(json_text, file);
  if (!root.is_object()) throw InputError(file, "the top level", "an object was expected; this is no tokenizer.json");
  TokenizerParts p;
  p.file = file;
  read_model(p, root);
  read_added(p, root);
  static const Json kNull;
  const auto part = [&](const char* name) -> const Json& {
    const Json* j = member_of(root, name);
    return j ? *j : kNull;
  };
  p.normalizer = normalizer_from_json(part("normalizer"), file);
  p.pre_tokenizer = pre_tokenizer_from_json(part("pre_tokenizer"), file);
  p.decoder = decoder_from_json(part("decoder"), file);
  if (const Json* post = member_of(root, "post_processor")) read_post_processor(p, *post, {file, "post_processor"}, 0);
  return p;
}

}  // namespace lorikeet
