// The tokenizer of a Hugging Face model folder: the vocabulary file first, then what the files beside it say about
// special tokens and where an answer ends (formats.md 2.9, 4.7).
#include <filesystem>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/text/pipeline_tokenizer.h"

namespace lorikeet {
namespace {

constexpr uint64_t kLargestTokenizerFile = 256u << 20;
constexpr uint64_t kLargestConfigFile = 64u << 20;

class FolderReader {
 public:
  explicit FolderReader(const std::string& folder) : folder_(folder) {}
  bool has(const char* name) const {
    std::error_code ignored;
    return fs::is_regular_file(path(name), ignored);
  }
  std::string path(const char* name) const { return (fs::path(folder_) / name).string(); }
  std::string text(const char* name) const { return read_file(path(name), kLargestTokenizerFile); }
  /// An object, or null when the file is absent.
  Json object(const char* name) const {
    if (!has(name)) return {};
    Json j = read_json_file(path(name), kLargestConfigFile);
    if (!j.is_object()) throw InputError(path(name), "the top level", "an object was expected");
    return j;
  }

 private:
  std::string folder_;
};

// A token in these files is its text, or an object with "content".
std::optional<std::string> token_text_of(const Json* j) {
  if (!j) return std::nullopt;
  if (j->is_string()) return j->get<std::string>();
  const Json* content = member_of(*j, "content");
  return content && content->is_string() ? std::optional(content->get<std::string>()) : std::nullopt;
}

// vocab.json + merges.txt name no pre-tokenizer; the class of tokenizer_config.json tells the family.
std::string pattern_of_class(const Json& config) {
  const std::string name = token_text_of(member_of(config, "tokenizer_class")).value_or("");
  if (name.find("Qwen2") != std::string::npos) return "qwen2";
  return "gpt-2";
}

void add_tokens_of_config(TokenizerParts& p, const Json& config, const std::string& file) {
  const Json* list = member_of(config, "added_tokens_decoder");
  if (!list) return;
  const JsonPlace place{file, "added_tokens_decoder"};
  if (!list->is_object()) refuse(place, "an object was expected");
  for (const auto& [key, value] : list->items()) {
    const JsonPlace here = place.member(printable(key, 20));
    const auto id = parse_int(key);
    if (!id || *id < 0 || *id > kLargestTokenId) refuse(here, "the name of a member must be a token id");
    AddedToken t = added_token_of(value, here);
    // A token that the vocabulary file has keeps its id there; the flags here win.
    t.id = p.id_of(t.content).value_or(static_cast<int32_t>(*id));
    if (!t.content.empty()) p.added.add(std::move(t));
  }
}

void add_tokens_of_map(TokenizerParts& p, const Json& map, const std::string& file) {
  if (!map.is_object()) return;
  for (const auto& [text, value] : map.items()) {
    const JsonPlace here{file, printable(text, 40)};
    const auto id = static_cast<int32_t>(integer_of(value, 0, kLargestTokenId, here));
    if (text.empty() || p.id_of(text)) continue;
    if (text.size() > kLongestAddedToken) refuse(here, "the token is too long");
    AddedToken t;
    t.id = id;
    t.content = text;
    t.normalized = true;
    p.added.add(std::move(t));
  }
}

// A token named as bos, eos ... is special, found in raw text, even where no list says so.
std::optional<int32_t> special_id(TokenizerParts& p, const Json* value) {
  const auto text = token_text_of(value);
  if (!text || text->empty() || text->size() > kLongestAddedToken) return std::nullopt;
  const auto id = p.id_of(*text);
  if (!id) return std::nullopt;
  const AddedToken* known = p.added.by_content(*text);
  if (known && known->special) return id;
  AddedToken t = known ? *known : AddedToken{};
  t.id = *id;
  t.content = *text;
  t.special = true;
  t.normalized = known && known->normalized;
  p.added.add(std::move(t));
  return id;
}

void apply_names(TokenizerParts& p, const Json& j) {
  const auto set = [&](std::optional<int32_t>& slot, const char* name) {
    if (const auto id = special_id(p, member_of(j, name))) slot = id;
  };
  set(p.bos, "bos_token");
  set(p.eos, "eos_token");
  set(p.pad, "pad_token");
  set(p.unk, "unk_token");
  for (const char* name : {"additional_special_tokens", "extra_special_tokens"}) {
    const Json* extra = member_of(j, name);
    if (extra && extra->is_array())
      for (const Json& token : *extra) special_id(p, &token);
  }
}

// eos_token_id is a number or a list.
void add_stops(TokenizerParts& p, const Json& j, const std::string& file) {
  const Json* eos = member_of(j, "eos_token_id");
  if (!eos) return;
  const JsonPlace place{file, "eos_token_id"};
  const auto add = [&](const Json& v) { p.add_stop(static_cast<int32_t>(integer_of(v, -1, INT32_MAX, place))); };
  if (!eos->is_array()) return add(*eos);
  for (const Json& v : *eos) add(v);
}

void fill_from_ids(TokenizerParts& p, const Json& config, const std::string& file) {
  const auto fill = [&](std::optional<int32_t>& slot, const char* name) {
    const Json* v = member_of(config, name);
    if (slot || !v || !v->is_number_integer()) return;
    const auto id = static_cast<int32_t>(integer_of(*v, INT32_MIN, INT32_MAX, {file, name}));
    if (p.has_id(id)) slot = id;
  };
  fill(p.bos, "bos_token_id");
  fill(p.eos, "eos_token_id");
  fill(p.pad, "pad_token_id");
}

// Without tokenizer.json the template of added BOS and EOS is ours to build.
void rebuild_template(TokenizerParts& p, const Json& config, bool bos_default, const std::string& file) {
  const JsonPlace top{file, ""};
  p.prefix.clear();
  p.suffix.clear();
  if (flag_at(config, "add_bos_token", bos_default, top) && p.bos) p.prefix = {*p.bos};
  if (flag_at(config, "add_eos_token", false, top) && p.eos) p.suffix = {*p.eos};
}

}  // namespace

std::shared_ptr<Tokenizer> tokenizer_from_folder(const std::string& folder) {
  const FolderReader files(folder);
  const Json config = files.object("tokenizer_config.json");
  const std::string config_path = files.path("tokenizer_config.json");
  TokenizerParts p;
  const bool whole = files.has("tokenizer.json");
  bool bos_default = false;
  if (whole) {
    p = parts_from_json(files.text("tokenizer.json"), files.path("tokenizer.json"));
  } else if (files.has("tokenizer.model")) {
    p = parts_from_sentencepiece(files.text("tokenizer.model"), files.path("tokenizer.model"));
    bos_default = true;
  } else if (files.has("vocab.json") && files.has("merges.txt")) {
    p = parts_from_vocab_merges(files.text("vocab.json"), files.text("merges.txt"), pattern_of_class(config), files.path("vocab.json"));
  } else {
    return nullptr;
  }
  p.stop_ids.clear();
  add_tokens_of_config(p, config, config_path);
  if (!whole) add_tokens_of_map(p, files.object("added_tokens.json"), files.path("added_tokens.json"));
  apply_names(p, files.object("special_tokens_map.json"));
  apply_names(p, config);
  const Json generation = files.object("generation_config.json"), model = files.object("config.json");
  fill_from_ids(p, generation, files.path("generation_config.json"));
  fill_from_ids(p, model, files.path("config.json"));
  p.add_stop(p.eos);
  add_stops(p, generation, files.path("generation_config.json"));
  add_stops(p, model, files.path("config.json"));
  if (!whole) rebuild_template(p, config, bos_default, config_path);
  return make_tokenizer(std::move(p));
}

}  // namespace lorikeet
