/// What could be changed so that a run takes less memory, for an error that comes in the middle of one.
#pragma once
#include <string>
#include <vector>

#include "core/run/detail/plan_facts.h"

namespace lorikeet::detail {

struct Remedy {
  std::string key, value;  // a setting
  uint64_t total = 0;      // bytes the run would then take
};
/// The settings that lower `config`'s memory, the one that costs the least speed first.
std::vector<Remedy> remedies(const RunConfig& config, const ModelFacts& model, const DataFacts& data);
/// The first that takes at least `less` bytes off `total`, as the end of a sentence: "; training.checkpointing=full would fit".
std::string smallest_change(const std::vector<Remedy>& all, uint64_t total, uint64_t less);

}  // namespace lorikeet::detail
