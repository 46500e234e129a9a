/// How fast this machine trained this model before: a small file in the user's cache folder, written by each run and
/// read by the planner. Without it the time is estimated from the arithmetic.
#pragma once
#include <optional>
#include <string>

#include "core/config/run_config.h"
#include "core/run/detail/plan_facts.h"

namespace lorikeet::detail {

/// Tokens a second of training, of the last run with this model, format, policy, thread count and arithmetic.
std::optional<double> measured_tokens_per_s(const RunConfig& config, const ModelFacts& model, const std::string& policy);
/// Keeps what a run measured. A cache that cannot be written is no error.
void keep_tokens_per_s(const RunConfig& config, const ModelFacts& model, const std::string& policy, double tokens_per_s);
/// From multiply-adds and what a core of this level does in a dense product.
double estimated_tokens_per_s(const RunConfig& config, const ModelFacts& model, const BatchFacts& batches, const std::string& policy);

}  // namespace lorikeet::detail
