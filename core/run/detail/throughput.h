/// How fast this machine trained this model before: a small file in the user's cache folder, written by each run and
/// read by the planner. Without it the time is estimated from the arithmetic.
#pragma once
#include <optional>
#include <string>

#include "core/config/run_config.h"
#include "core/run/cards.h"
#include "core/run/detail/plan_facts.h"

namespace lorikeet::detail {

/// Tokens a second of training, of the last run with this model, format, policy, thread count and arithmetic.
std::optional<double> measured_tokens_per_s(const RunConfig& config, const ModelFacts& model, const std::string& policy);
/// Keeps what a run measured. A cache that cannot be written is no error.
void keep_tokens_per_s(const RunConfig& config, const ModelFacts& model, const std::string& policy, double tokens_per_s);
/// From multiply-adds and what a core of this level, or a graphics card, does in a dense product; 0 where nothing is known of
/// the device. `card`: in place of the machine's own device.
double estimated_tokens_per_s(const RunConfig& config, const ModelFacts& model, const BatchFacts& batches, const std::string& policy, const Card* card = nullptr);

}  // namespace lorikeet::detail
