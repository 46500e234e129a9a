// Questions about text: token ids, the chat template's exact text, and data sets as the model will see them.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/run/detail/data_settings.h"
#include "core/run/detail/loaded_model.h"
#include "core/run/detail/training_data.h"
#include "core/run/queries.h"

namespace lorikeet {
namespace {

ModelFilesPtr open_named(const std::string& model) { return open_model(resolve_model_path(model)); }

Json histogram_of(const std::vector<int64_t>& lengths) {
  // Bars of 1-2-5 width so that about twenty cover the longest sample.
  Json bars = Json::array();
  if (lengths.empty()) return bars;
  const int64_t longest = *std::max_element(lengths.begin(), lengths.end());
  int64_t width = 1;
  for (int64_t step = 1; width * 20 < longest; step *= 10)
    for (const int64_t factor : {1, 2, 5})
      if (width * 20 < longest) width = step * factor;
  std::map<int64_t, int64_t> counts;
  for (const int64_t n : lengths) counts[n / width]++;
  for (int64_t b = 0; b <= longest / width; ++b)
    bars.push_back({{"from", b * width}, {"to", (b + 1) * width - 1}, {"count", counts.contains(b) ? counts[b] : 0}});
  return bars;
}

Json origin_json(const Sample& s) { return {{"file", s.origin.file}, {"line", s.origin.line}}; }

Json shown_json(const detail::EncodedDataset& set, const Tokenizer& tokenizer, int64_t first, int64_t count) {
  Json shown = Json::array();
  for (int64_t i = first; i < first + count && i < static_cast<int64_t>(set.outcomes.size()); ++i) {
    const auto& outcome = set.outcomes[static_cast<size_t>(i)];
    Json one = origin_json(set.data.samples[static_cast<size_t>(i)]);
    one["sample"] = i;
    Json tokens = Json::array();
    bool truncated = false;
    int64_t original = 0;
    for (const auto& document : outcome.documents) {
      truncated = truncated || document.truncated;
      original = std::max(original, document.original_tokens);
      for (const auto& t : show_tokens(document, tokenizer))
        tokens.push_back({{"text", t.text}, {"id", t.id}, {"trained", t.trained}, {"special", t.special}});
    }
    one["tokens"] = std::move(tokens);
    one["truncated"] = truncated;
    one["original_tokens"] = original;
    if (!outcome.dropped_reason.empty()) one["dropped"] = outcome.dropped_reason;
    shown.push_back(std::move(one));
  }
  return shown;
}

Json bad_rows_json(const Dataset& data) {
  Json rows = Json::array();
  for (const auto& b : data.bad_rows) {
    rows.push_back({{"file", b.origin.file}, {"line", b.origin.line}, {"reason", b.reason}});
    if (rows.size() >= 100) break;
  }
  return rows;
}

Json audit_json(const detail::EncodedDataset& set, const Tokenizer& tokenizer) {
  Json findings = Json::array();
  for (const auto& f : audit(set.data, set.outcomes, tokenizer)) {
    Json samples = Json::array();
    for (const size_t s : f.samples) samples.push_back(s);
    findings.push_back({{"severity", f.severity}, {"kind", f.kind}, {"text", f.text}, {"count", f.count}, {"samples", samples}});
  }
  return findings;
}

}  // namespace

Json tokenize_text(const std::string& model, const std::string& text, bool no_special) {
  const auto files = open_named(model);
  const Tokenizer& tokenizer = detail::tokenizer_of(*files);
  Json ids = Json::array(), tokens = Json::array();
  for (const int32_t id : tokenizer.encode(text, {.parse_special = true, .add_special = !no_special})) {
    ids.push_back(id);
    tokens.push_back(tokenizer.token_text(id));
  }
  return {{"ids", ids}, {"tokens", tokens}};
}

Json detokenize_ids(const std::string& model, const std::vector<int32_t>& ids) {
  const auto files = open_named(model);
  const Tokenizer& tokenizer = detail::tokenizer_of(*files);
  for (size_t i = 0; i < ids.size(); ++i)
    if (ids[i] < 0 || ids[i] >= tokenizer.vocab_size())
      throw InputError("", fmt::format("id {} of --ids", i + 1), fmt::format("is {}, the tokenizer has {} tokens", ids[i], tokenizer.vocab_size()));
  return {{"text", tokenizer.decode(ids)}};
}

Json render_messages(const std::string& model, const std::string& messages_file, bool add_generation_prompt) {
  const auto files = open_named(model);
  const auto chat = detail::template_for(*files, "auto");
  if (!chat) throw InputError(files->path(), "", "has no chat template to render with");
  const Json given = read_json_file(messages_file, 64u << 20);
  Json variables = files->template_variables();
  if (given.is_array()) {
    variables["messages"] = given;
  } else if (given.is_object() && given.contains("messages")) {
    for (const auto& [key, value] : given.items()) variables[key] = value;
  } else {
    throw InputError(messages_file, "", "a list of messages, or an object with \"messages\", was expected");
  }
  if (add_generation_prompt || !variables.contains("add_generation_prompt")) variables["add_generation_prompt"] = add_generation_prompt;
  const std::string text = chat->render(variables).text;
  return {{"text", text}, {"ids", detail::tokenizer_of(*files).encode(text)}};
}

Json inspect_data(const DataQuery& query, std::stop_token stop) {
  const auto& paths = query.config.data.train;
  const bool with_model = !query.model.empty() || query.show > 0 || query.audit || !query.config.model.path.empty() || !default_model_path().empty();
  Json out;
  if (!with_model) {  // no model at hand: what can be said without tokens
    const Dataset data = read_dataset(paths, detail::dataset_options(query.config), stop);
    return {{"format", data.format}, {"evidence", data.evidence}, {"samples", data.samples.size()}, {"tokens", nullptr}, {"target_tokens", nullptr},
            {"histogram", Json::array()}, {"shown", Json::array()}, {"findings", Json::array()}, {"bad_rows", bad_rows_json(data)}, {"bad_row_count", data.bad_row_count}};
  }
  const auto files = open_named(query.model.empty() ? query.config.model.path : query.model);
  const auto set = detail::encode_dataset(paths, query.config, *files, stop);
  const TokenizerPtr tokenizer = detail::tokenizer_or_refusal(*files);
  std::vector<int64_t> lengths;
  for (const auto& o : set.outcomes)
    for (const auto& d : o.documents) lengths.push_back(d.original_tokens);
  out = {{"format", set.data.format}, {"evidence", set.data.evidence}, {"samples", set.data.samples.size()}, {"tokens", set.tokens},
         {"target_tokens", set.target_tokens}, {"histogram", histogram_of(lengths)}, {"longest", set.longest},
         {"truncated", set.truncated}, {"dropped", set.dropped}, {"bad_row_count", set.data.bad_row_count}, {"bad_rows", bad_rows_json(set.data)}};
  out["shown"] = query.show > 0 ? shown_json(set, *tokenizer, query.first_shown, query.show) : Json::array();
  out["findings"] = query.audit ? audit_json(set, *tokenizer) : Json::array();
  return out;
}

}  // namespace lorikeet
