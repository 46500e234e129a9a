#include "core/run/detail/remedies.h"

#include <algorithm>

#include "core/models/model.h"
#include "core/optim/optimizer.h"
#include "core/run/detail/build_plan.h"
#include "core/run/detail/run_setup.h"

namespace lorikeet::detail {
namespace {

constexpr int64_t kShortestRow = 64;

}  // namespace

std::vector<Remedy> remedies(const RunConfig& config, const ModelFacts& model, const DataFacts& data) {
  std::vector<Remedy> out;
  const auto add = [&](const char* key, const std::string& value, const RunConfig& changed) {
    DataFacts cut = data;
    for (auto* set : {&cut.train, &cut.validation})
      for (DocumentSize& d : *set) d.tokens = std::min(d.tokens, changed.data.max_length), d.targets = std::min(d.targets, d.tokens - 1);
    Plan p;
    fill_plan(p, changed, changed, model, &cut);
    out.push_back({key, value, p.bytes.total});
  };
  const CheckpointPolicy now = config.training.checkpointing == "auto" ? CheckpointPolicy::none : checkpoint_policy_from_name(config.training.checkpointing);
  RunConfig c = config;
  for (const CheckpointPolicy policy : kCheckpointPolicies) {
    if (policy <= now || (policy == CheckpointPolicy::offload && device_of(config.device.kind) == DeviceType::cpu)) continue;
    c.training.checkpointing = std::string(checkpoint_policy_name(policy));
    add("training.checkpointing", c.training.checkpointing, c);
  }
  if (const std::string paged = "paged_" + c.optimizer.name; optimizers().find(paged)) {
    c.optimizer.name = paged;
    add("optimizer.name", paged, c);
  }
  while (c.training.batch_size > 1) {
    c.training.batch_size = (c.training.batch_size + 1) / 2;
    add("training.batch_size", std::to_string(c.training.batch_size), c);
  }
  while (c.data.max_length / 2 >= kShortestRow) {
    c.data.max_length /= 2;
    add("data.max_length", std::to_string(c.data.max_length), c);
  }
  return out;
}

std::string smallest_change(const std::vector<Remedy>& all, uint64_t total, uint64_t less) {
  std::string settings;
  // Each stands on those before it: only the last of a key counts.
  for (size_t i = 0; i < all.size(); ++i) {
    if (i + 1 == all.size() || all[i + 1].key != all[i].key || all[i].total + less <= total) {
      settings += (settings.empty() ? "" : " ") + all[i].key + "=" + all[i].value;
      if (all[i].total + less <= total) return "; " + settings + " would fit";
    }
  }
  return "; take a smaller model or quantization.format";
}

}  // namespace lorikeet::detail
