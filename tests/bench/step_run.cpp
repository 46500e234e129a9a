#include "tests/bench/step_run.h"

#include <algorithm>

#include "core/base/random.h"
#include "core/base/system.h"
#include "core/io/model_files.h"
#include "core/run/jobs.h"
#include "core/tensor/op_clock.h"
#include "tests/bench/peaks.h"
#include "tests/support/support.h"

namespace lorikeet::bench {
namespace {

/// Rows for the `tokens` data format: ids and, as labels, the same ids.
std::string random_rows(int64_t rows, int64_t tokens, int64_t vocabulary) {
  RandomStream random(1, stream_of("bench rows"));
  std::string text;
  for (int64_t r = 0; r < rows; ++r) {
    Json ids = Json::array();
    for (int64_t t = 0; t < tokens; ++t) ids.push_back(random.below(static_cast<uint64_t>(vocabulary)));
    text += dump_json({{"input_ids", ids}, {"labels", ids}}) + "\n";
  }
  return text;
}

void set_for_benchmark(RunConfig& c, const StepShape& shape, int64_t steps, const std::string& rows) {
  c.data.train = {rows};
  c.data.validation = {};
  c.data.validation_fraction = 0;
  c.data.format = "tokens";
  c.data.max_length = shape.tokens;
  c.data.packing = false;
  c.schedule.name = "constant";
  c.schedule.warmup_ratio = 0;
  c.training.batch_size = shape.batch;
  c.training.gradient_accumulation = 1;
  c.training.max_steps = steps;
  c.training.save_every = 1000000;  // a checkpoint gives unused pages back, which would count as time of the next step
}

/// The clock's entries per step, and what no op accounts for.
std::vector<OpShare> shares_of(const OpClock& clock, double seconds, double steps) {
  std::vector<OpShare> out;
  for (const OpClock::Entry& e : clock.entries())
    out.push_back({e.op, static_cast<double>(e.calls) / steps, e.seconds / steps * 1e3, e.seconds / seconds});
  const auto slower = [](const OpShare& a, const OpShare& b) { return a.ms_per_step > b.ms_per_step; };
  std::sort(out.begin(), out.end(), slower);
  const double outside = seconds - clock.seconds();
  out.push_back({"outside ops", 0, outside / steps * 1e3, outside / seconds});
  return out;
}

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

}  // namespace

StepFigures measure_steps(RunConfig config, const StepShape& shape, int64_t steps) {
  const test::ScratchFolder scratch;
  const ModelConfig model = open_model(resolve_model_path(config.model.path))->config();
  const std::string rows = scratch.write("rows.jsonl", random_rows(steps * shape.batch, shape.tokens, model.vocab_size));
  set_for_benchmark(config, shape, steps, rows);

  OpClock clock;
  std::vector<double> ms;  // of the steps after the first
  StepFigures f;
  const double began = monotonic_seconds();
  JobEvents events;
  events.on_step = [&](const StepReport& r) {
    if (r.step > 1) {
      ms.push_back(r.step_ms);
    } else {
      f.first_step_s = monotonic_seconds() - began;
      clock.reset();
    }
  };
  const auto job = make_train_job(config, {}, scratch.path("run"));
  {
    const OpClock::Installed installed(clock);
    job->run({}, events);
  }
  double seconds = 0;
  for (const double step_ms : ms) seconds += step_ms / 1e3;
  const Json result = job->result(), run = read_json_file(scratch.path("run/run.json"), 1 << 20);
  f.shape = shape;
  f.policy = run["policy"];
  f.compute = run["device"]["compute"];
  f.unit = unit_name({cpu_level(), f.compute == "bf16" ? ComputeType::bf16 : ComputeType::f32});
  f.median_ms = median_of(ms);
  f.best_ms = *std::min_element(ms.begin(), ms.end());
  f.peak_bytes = result["peak_bytes"];
  f.peak_tensor_bytes = result["peak_tensor_bytes"];
  f.planned_bytes = read_json_file(scratch.path("run/plan.json"), 1 << 20)["estimate"]["bytes"]["total"];
  f.flops = step_flops(model, config.adapter.rank, shape.tokens, shape.batch);
  f.ops = shares_of(clock, seconds, static_cast<double>(ms.size()));
  return f;
}

Json step_figures_to_json(const StepFigures& f, double peak_gflops) {
  Json ops = Json::array();
  for (const OpShare& o : f.ops)
    ops.push_back({{"op", o.op}, {"calls_per_step", o.calls_per_step}, {"ms_per_step", o.ms_per_step}, {"share", o.share}});
  return {{"tokens", f.shape.tokens},
          {"batch", f.shape.batch},
          {"policy", f.policy},
          {"compute", f.compute},
          {"unit", f.unit},
          {"tokens_per_s", f.tokens_per_s()},
          {"best_tokens_per_s", f.tokens_per_s() * f.median_ms / f.best_ms},
          {"median_ms", f.median_ms},
          {"first_step_s", f.first_step_s},
          {"peak_bytes", f.peak_bytes},
          {"peak_tensor_bytes", f.peak_tensor_bytes},
          {"planned_bytes", f.planned_bytes},
          {"model_gflop", {{"linears", f.flops.linears * 1e-9}, {"adapters", f.flops.adapters * 1e-9},
                           {"attention", f.flops.attention * 1e-9}, {"head", f.flops.head * 1e-9}, {"total", f.flops.total() * 1e-9}}},
          {"gflops", f.gflops()},
          {"share_of_peak", peak_gflops > 0 ? Json(f.gflops() / peak_gflops) : Json()},
          {"ops", ops}};
}

}  // namespace lorikeet::bench
