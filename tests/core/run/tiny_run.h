/// A whole training run of milliseconds: a two-layer model with random weights, token data with a pattern to learn.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "core/base/json.h"
#include "core/config/run_config.h"
#include "core/run/jobs.h"

namespace lorikeet::test {

/// Writes a Hugging Face folder (config.json, model.safetensors; no tokenizer). `scale` multiplies all weights.
void write_tiny_model(const std::string& folder, double scale = 1);
/// Writes lines {"input_ids":[...],"labels":[...]} of 4 to 20 tokens, the first third untrained.
void write_tiny_data(const std::string& file, int rows, uint64_t seed = 1);
/// Settings of a run on both: several epochs with a partial last step, dropout, evaluation and checkpoints at odd
/// distances, so that every kind of edge occurs.
RunConfig tiny_config(const std::string& model, const std::string& data);

struct RunOutcome { JobOutcome outcome = JobOutcome::finished; Json result; };
RunOutcome run_to_end(Job& job, std::stop_token stop = {}, const JobEvents& events = {});

/// What must be equal, byte for byte, between a continued and an unbroken run: the adapter, the optimizer state of the
/// newest checkpoint, and the metrics without their clock and memory fields.
std::string essence_of_run(const std::string& run);
/// metrics.jsonl without time, tokens_per_s, step_ms, host_bytes, device_bytes.
std::string timeless_metrics(const std::string& run);

/// Trains until `step` steps are done, then asks to stop.
inline JobOutcome train_until(Job& job, int64_t step) {
  std::stop_source stop;
  JobEvents events;
  events.on_step = [&](const StepReport& r) {
    if (r.step >= step) stop.request_stop();
  };
  return job.run(stop.get_token(), events);
}

}  // namespace lorikeet::test
