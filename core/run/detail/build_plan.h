/// The plan of a run from its facts; the same code for the form, `plan`, and the train job's choice of policy.
#pragma once
#include "core/run/detail/plan_facts.h"
#include "core/run/plan.h"

namespace lorikeet::detail {

/// `config` is resolved as far as the facts allow, `given` as the person has it (findings speak of that). `data` may be
/// null: then only what the model decides is filled in. Adds findings. Throws ConfigError where the adapter fits nothing.
/// `card`: a graphics card to plan for in place of the machine's own device.
void fill_plan(Plan& plan, const RunConfig& config, const RunConfig& given, const ModelFacts& model, const DataFacts* data, const Card* card = nullptr);

}  // namespace lorikeet::detail
