/// What a form shows beside the figures: settings that cannot work, and those that rarely do what was wanted.
#pragma once
#include <string>
#include <vector>

#include "core/methods/method.h"
#include "core/run/detail/plan_facts.h"
#include "core/run/plan.h"

namespace lorikeet::detail {

Finding finding(std::string severity, std::string key, std::string text);
/// From the settings alone: values out of range, each with its field.
void add_field_findings(std::vector<Finding>& out, const RunConfig& config);
/// What device.compute does not suit; `card`: one that is not here, else null.
void add_compute_findings(std::vector<Finding>& out, const RunConfig& config, const Card* card);
void add_model_findings(std::vector<Finding>& out, const RunConfig& config, const ModelFacts& model);
/// Names among the targets and keys of the patterns that no module answers to.
void add_idle_name_findings(std::vector<Finding>& out, const std::vector<LinearShape>& linears, const AdapterSpec& spec);
/// `context`: the longest text of the model, 0 when not known.
void add_data_findings(std::vector<Finding>& out, const RunConfig& config, int64_t context, const DataFacts& data, const BatchFacts& batches);
/// `smaller`: the policy or length that would fit, where one does.
void add_memory_findings(std::vector<Finding>& out, const RunConfig& config, const Plan& plan);
void add_disk_findings(std::vector<Finding>& out, const Plan& plan, int64_t checkpoints_kept);
bool has_error(const std::vector<Finding>& findings);

}  // namespace lorikeet::detail
