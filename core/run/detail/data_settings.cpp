#include "core/run/detail/data_settings.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/run/detail/loaded_model.h"

namespace lorikeet::detail {

DatasetOptions dataset_options(const RunConfig& config) {
  return {.format = config.data.format, .limit = config.data.limit, .system_prompt = config.data.system_prompt};
}

EncodeSettings encode_settings(const RunConfig& config, const ModelFiles& files) {
  EncodeSettings s;
  s.train_on_all = config.data.train_on == "all";
  s.max_length = config.data.max_length;
  s.on_long = config.data.on_long;
  s.template_variables = files.template_variables();
  return s;
}

std::vector<EncodedSample> EncodedDataset::documents() const {
  std::vector<EncodedSample> out;
  for (const auto& o : outcomes) out.insert(out.end(), o.documents.begin(), o.documents.end());
  return out;
}

EncodedDataset encode_dataset(const std::vector<std::string>& paths, const RunConfig& config, const ModelFiles& files,
                              std::stop_token stop) {
  EncodedDataset out;
  out.data = read_dataset(paths, dataset_options(config), stop);
  const auto chat = template_for(files, config.data.template_name);
  const EncodeSettings settings = encode_settings(config, files);
  const bool only_ids = std::all_of(out.data.samples.begin(), out.data.samples.end(), [](const Sample& s) { return s.kind == SampleKind::tokens; });
  const TokenizerPtr tokenizer = files.tokenizer();
  if (!tokenizer && !only_ids) tokenizer_of(files);  // throws
  for (size_t i = 0; i < out.data.samples.size(); ++i) {
    if (i % 64 == 0 && stop.stop_requested()) throw Interrupted("stopped while tokenising");
    EncodeOutcome o = encode_sample(out.data.samples[i], i, *tokenizer, chat.get(), settings);
    for (const auto& d : o.documents) {
      out.tokens += static_cast<int64_t>(d.ids.size());
      out.target_tokens += d.target_tokens();
      out.truncated += d.truncated;
      out.longest = std::max(out.longest, d.original_tokens);
    }
    out.dropped += o.documents.empty();
    out.outcomes.push_back(std::move(o));
  }
  if (out.target_tokens == 0) {
    const std::string why = out.outcomes.empty() || out.outcomes[0].dropped_reason.empty() ? "" : " (first sample: " + out.outcomes[0].dropped_reason + ")";
    throw InputError(join(paths, ", "), "", "no sample has a token to train on" + why + "; check data.train_on, data.template and data.max_length");
  }
  return out;
}

}  // namespace lorikeet::detail
