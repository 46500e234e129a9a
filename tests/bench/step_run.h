/// A few training steps by the product's own train job, with an op clock on: what a user's run does, nothing less.
#pragma once
#include <string>
#include <vector>

#include "core/base/json.h"
#include "core/config/run_config.h"
#include "tests/bench/step_flops.h"

namespace lorikeet::bench {

struct StepShape {
  int64_t tokens = 512, batch = 1;  // a row's length, rows in a step
};
struct OpShare {
  std::string op;
  double calls_per_step = 0, ms_per_step = 0, share = 0;  // of the whole step
};
struct StepFigures {
  StepShape shape;
  std::string policy, compute, unit;       // as the run resolved them; unit_name() of what it computed with
  double median_ms = 0, best_ms = 0;       // of the steps after the first
  double first_step_s = 0;                 // from the job's start to the end of its first step
  uint64_t peak_bytes = 0, peak_tensor_bytes = 0, planned_bytes = 0;
  StepFlops flops;
  std::vector<OpShare> ops;  // the steps after the first; largest first, the rest of the step as "outside ops"
  double tokens_per_s() const { return static_cast<double>(shape.tokens * shape.batch) / median_ms * 1e3; }
  double gflops() const { return flops.total() / median_ms * 1e-6; }
};

/// Trains `steps` steps (2 at least) on rows of random ids, all of them targets, in a scratch folder. `config` gives
/// the model, the method and the device; its data, lengths and schedule are set here.
StepFigures measure_steps(RunConfig config, const StepShape& shape, int64_t steps);
Json step_figures_to_json(const StepFigures& f, double peak_gflops);

}  // namespace lorikeet::bench
