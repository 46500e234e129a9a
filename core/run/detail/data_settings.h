/// From RunConfig to what core/data asks for: the one place where data.* keys become options.
#pragma once
#include <memory>

#include "core/config/run_config.h"
#include "core/data/dataset.h"
#include "core/data/encode.h"
#include "core/io/model_files.h"

namespace lorikeet::detail {

DatasetOptions dataset_options(const RunConfig& config);
EncodeSettings encode_settings(const RunConfig& config, const ModelFiles& files);
/// Reads and encodes a set. `outcomes` is parallel to the samples.
struct EncodedDataset {
  Dataset data;
  std::vector<EncodeOutcome> outcomes;
  std::vector<EncodedSample> documents() const;
  int64_t tokens = 0, target_tokens = 0, truncated = 0, dropped = 0, longest = 0;
};
EncodedDataset encode_dataset(const std::vector<std::string>& paths, const RunConfig& config, const ModelFiles& files,
                              std::stop_token stop);
/// Throws InputError when no sample has a target.
void require_targets(const EncodedDataset& set, const std::vector<std::string>& paths);

}  // namespace lorikeet::detail
