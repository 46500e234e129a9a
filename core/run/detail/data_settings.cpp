#include "core/run/detail/data_settings.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/run/detail/training_data.h"

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
  out.outcomes = encode_all(out.data, config, encode_settings(config, files), files, stop, {});
  for (const auto& o : out.outcomes) {
    for (const auto& d : o.documents) {
      out.tokens += static_cast<int64_t>(d.ids.size());
      out.target_tokens += d.target_tokens();
      out.truncated += d.truncated;
      out.longest = std::max(out.longest, d.original_tokens);
    }
    out.dropped += o.documents.empty();
  }
  return out;
}

void require_targets(const EncodedDataset& set, const std::vector<std::string>& paths) {
  if (set.target_tokens > 0) return;
  const std::string why = set.outcomes.empty() || set.outcomes[0].dropped_reason.empty() ? "" : " (first sample: " + set.outcomes[0].dropped_reason + ")";
  throw InputError(join(paths, ", "), "", "no sample has a token to train on" + why + "; check data.train_on, data.template and data.max_length");
}

}  // namespace lorikeet::detail
