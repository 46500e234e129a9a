// Training steps on a card: tokens a second, memory, loss, for a model of a well-known shape with random weights.
//   step_gpu --shape 8b --length 4096 --rows 2 --rank 16 --steps 5 --policy norms+swiglu --json out.json
// Prints figures, judges nothing. Without a GPU it says why and ends with 3.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "core/base/files.h"
#include "core/base/json.h"
#include "core/base/system.h"
#include "core/methods/method.h"
#include "core/models/weights_on.h"
#include "core/ops/cpu_kernels.h"
#include "core/optim/optimizer.h"
#include "core/tensor/device_memory.h"
#include "core/tensor/op_clock.h"
#include "core/train/trainer.h"
#include "cuda/backend.h"
#include "tests/gpu/arguments.h"
#include "tests/gpu/random_base.h"

using namespace lorikeet;
using namespace lorikeet::bench;

namespace {

/// Operations of a step: products of the linear layers forward and backward, attention (causal), the head both ways.
double step_flops(const ModelConfig& m, int64_t rows, int64_t length) {
  double linears = 0;
  for (const LinearShape& s : linear_shapes(m)) linears += static_cast<double>(s.rows * s.columns);
  const double tokens = static_cast<double>(rows * length), attention = static_cast<double>(m.layers * m.heads * m.head_dim) * static_cast<double>(length) * 2;
  const double head = static_cast<double>(m.vocab_size * m.hidden_size);
  return tokens * (4 * linears + 3.5 * attention + 4 * head);
}

Json measured(const Arguments& a) {
  const std::string shape = a.text("--shape", "135m");
  const ModelConfig config = shape_named(shape);
  const int64_t rows = a.number("--rows", 1), length = a.number("--length", 512), steps = std::max<int64_t>(2, a.number("--steps", 5)), micro = a.number("--accumulation", 1);
  const DeviceType device = a.flag("--cpu") ? DeviceType::cpu : DeviceType::cuda;
  Context cx(0, device);
  const std::string compute = a.text("--compute", "bf16");
  const auto type = compute_type_from_name(compute);
  if (!type) throw ConfigError("--compute", "--compute " + printable(compute) + ": known are f32, bf16, f16");
  cx.set_compute(*type);
  const double began = monotonic_seconds();
  const auto source = random_source(config);
  WeightsOn on_device(*source, device, host_table_from(config));
  const std::unique_ptr<Model> model = models().get(config.architecture)(config, on_device, {});
  AdapterSpec spec;
  spec.rank = a.number("--rank", 16);
  spec.alpha = 2 * static_cast<double>(spec.rank);
  spec.target_modules = {"all-linear"};
  const Method& lora = *methods().get("lora");
  lora.attach(*model, spec);
  auto parameters = lora.parameters(*model);
  const auto optimizer = optimizers().get(a.text("--optimizer", "adamw")).make(parameters, {});
  Trainer trainer(cx, *model, parameters, *optimizer,
                  {.policy = checkpoint_policy_from_name(a.text("--policy", "norms+swiglu")), .seed = 1, .record = !a.flag("--one-by-one"), .scale_loss = cx.unit().compute == ComputeType::f16});
  const double loaded = monotonic_seconds() - began;
  std::vector<double> times;
  Json losses = Json::array();
  const bool gpu = device != DeviceType::cpu;
  if (gpu) device_memory(device).reset_peak();
  for (int64_t k = 0; k < steps; ++k) {
    std::vector<TokenBatch> batches;
    for (int64_t i = 0; i < micro; ++i) batches.push_back(full_rows(rows, length, config.vocab_size, static_cast<uint64_t>(k * micro + i + 1)));
    const double start = monotonic_seconds();
    losses.push_back(trainer.train_step(batches, 1e-4, k, {}).loss);
    if (gpu) device_memory(device).synchronize();
    times.push_back(monotonic_seconds() - start);
  }
  const double first = times.front();
  times.erase(times.begin());
  std::sort(times.begin(), times.end());
  const double median = times[times.size() / 2];
  const double tokens = static_cast<double>(rows * length * micro);
  Json out = {{"shape", shape}, {"rows", rows}, {"length", length}, {"accumulation", micro}, {"rank", spec.rank}, {"policy", a.text("--policy", "norms+swiglu")},
              {"load_s", loaded}, {"first_step_ms", first * 1e3}, {"step_ms", median * 1e3}, {"best_step_ms", times.front() * 1e3}, {"tokens_per_s", tokens / median},
              {"tflops", step_flops(config, rows, length) * static_cast<double>(micro) / median * 1e-12}, {"losses", losses}, {"weight_bytes", model->weight_bytes(device)}};
  if (gpu) {
    const DeviceStatistics s = device_memory(device).statistics();
    out["device"] = device_memory(device).name();
    out["peak_bytes"] = s.peak_bytes;
    out["reserved_bytes"] = s.reserved_bytes;
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Arguments arguments(argc, argv);
    register_cpu_kernels();
    if (!arguments.flag("--cpu")) {
      const GpuList list = list_gpus();
      if (!list.reason.empty()) {
        std::fprintf(stderr, "step_gpu: %s\n", list.reason.c_str());
        return 3;
      }
      register_cuda_kernels();
    }
    const Json result = measured(arguments);
    std::printf("%s\n", dump_json(result, 2).c_str());
    if (const std::string path = arguments.text("--json", ""); !path.empty()) write_file_atomic(path, dump_json(result, 2) + "\n");
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "step_gpu: %s\n", e.what());
    return 1;
  }
}
