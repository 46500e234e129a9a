/// The plan of a run from its facts; the same code for the form, `plan`, and the train job's choice of policy.
#pragma once
#include "core/run/detail/plan_facts.h"
#include "core/run/plan.h"

namespace lorikeet::detail {

/// `config` is resolved as far as the facts allow, `given` as the person has it (findings speak of that). `data` may be
/// null: then only what the model decides is filled in. Adds findings. Throws ConfigError where the adapter fits nothing.
void fill_plan(Plan& plan, const RunConfig& config, const RunConfig& given, const ModelFacts& model, const DataFacts* data);
/// Memory a run may use: what the machine can give, or device.memory_limit when that is less.
uint64_t memory_for(const RunConfig& config);

}  // namespace lorikeet::detail
