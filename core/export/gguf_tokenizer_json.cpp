// The metadata of a GGUF's byte-level BPE said as a tokenizer.json: vocabulary, merges, patterns of its family, added
// tokens.
#include "core/base/text.h"
#include "core/export/model_folder_files.h"
#include "core/text/byte_level_families.h"

namespace lorikeet::detail {
namespace {

constexpr int kUnknown = 2, kControl = 3, kUserDefined = 4;

Json added_tokens(const GgufTokenizerData& d) {
  Json out = Json::array();
  for (size_t i = 0; i < d.token_types.size() && i < d.tokens.size(); ++i) {
    const int type = d.token_types[i];
    if (type != kUnknown && type != kControl && type != kUserDefined) continue;
    out.push_back({{"id", i},
                   {"content", d.tokens[i]},
                   {"single_word", false},
                   {"lstrip", false},
                   {"rstrip", false},
                   {"normalized", false},
                   {"special", type != kUserDefined}});
  }
  return out;
}

Json pre_tokenizer(const ByteLevelFamily& family) {
  Json steps = Json::array();
  for (const std::string& pattern : family.patterns)
    steps.push_back(
        {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}});
  steps.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}});
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

Json post_processor(const GgufTokenizerData& d, bool adds_bos) {
  const bool bos = d.add_bos.value_or(adds_bos) && d.bos, eos = d.add_eos.value_or(false) && d.eos;
  if (!bos && !eos) return nullptr;
  Json single = Json::array(), pair = Json::array(), special = Json::object();
  const auto add_token = [&](int32_t id, Json& list, int type) {
    const std::string& text = d.tokens[static_cast<size_t>(id)];
    list.push_back({{"SpecialToken", {{"id", text}, {"type_id", type}}}});
    special[text] = {{"id", text}, {"ids", Json::array({id})}, {"tokens", Json::array({text})}};
  };
  for (int part = 0; part < 2; ++part) {
    Json& list = part == 0 ? single : pair;
    for (int sequence = 0; sequence <= part; ++sequence) {
      if (bos) add_token(*d.bos, list, sequence);
      list.push_back({{"Sequence", {{"id", sequence == 0 ? "A" : "B"}, {"type_id", sequence}}}});
      if (eos) add_token(*d.eos, list, sequence);
    }
  }
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", special}};
}

}  // namespace

Json tokenizer_json_of_gguf(const GgufTokenizerData& d, std::string& why) {
  const ByteLevelFamily* family = d.model == "gpt2" ? byte_level_family(d.pre) : nullptr;
  if (!family) {
    why = "a tokenizer of kind \"" + printable(d.model, 20) +
          "\" cannot be said as tokenizer.json here; take the tokenizer's files from the original model";
    return nullptr;
  }
  Json vocabulary = Json::object();
  auto& members = static_cast<Json::object_t::Container&>(vocabulary.get_ref<Json::object_t&>());
  for (size_t i = 0; i < d.tokens.size(); ++i)
    members.emplace_back(d.tokens[i], i);  // no look-up: ids are unique by place
  Json merges = Json::array();
  for (const std::string& m : d.merges) merges.push_back(m);
  const Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  Json model = {{"type", "BPE"},
                {"dropout", nullptr},
                {"unk_token", nullptr},
                {"continuing_subword_prefix", nullptr},
                {"end_of_word_suffix", nullptr},
                {"fuse_unk", false},
                {"byte_fallback", false},
                {"ignore_merges", family->ignore_merges}};
  model["vocab"] = std::move(vocabulary);
  model["merges"] = std::move(merges);
  Json j = {{"version", "1.0"},
            {"truncation", nullptr},
            {"padding", nullptr},
            {"added_tokens", added_tokens(d)},
            {"normalizer", family->nfc ? Json{{"type", "NFC"}} : Json(nullptr)},
            {"pre_tokenizer", pre_tokenizer(*family)},
            {"post_processor", post_processor(d, family->adds_bos)},
            {"decoder", byte_level}};
  j["model"] = std::move(model);
  return j;
}

}  // namespace lorikeet::detail
