// A whole training step by shape: tokens per second, the share of each op, and the share of the machine's own peak
// measured in the same process; then loading and generation. Prints figures, judges nothing.
//   step_bench                                              the default model, NF4, rank 16, rows of 512 tokens
//   step_bench --shape 512x1 --shape 2048x1 --compute bf16 --policy none --json out.json
#include <algorithm>
#include <cstdio>
#include <optional>

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/io/model_files.h"
#include "core/ops/cpu_kernels.h"
#include "core/run/detail/run_setup.h"
#include "tests/bench/generation.h"
#include "tests/bench/peaks.h"
#include "tests/bench/random_model.h"
#include "tests/bench/step_run.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::bench;

namespace {

struct Options {
  std::string model, level, json;
  std::vector<std::string> shapes = {"512x1"}, settings, generation = {"keep"};
  std::vector<StepShape> step_shapes;  // `shapes`, read
  int64_t steps = 6;
  bool no_steps = false, no_generation = false;
  RunConfig config;
};

StepShape shape_from(const std::string& text) {
  const auto parts = split(text, 'x');
  const auto number = [&](size_t i) { return i < parts.size() ? parse_int(parts[i]).value_or(0) : int64_t{1}; };
  if (parts.size() > 2 || number(0) < 2 || number(1) < 1)
    throw ConfigError("--shape", "--shape: \"" + printable(text) + "\" is no TOKENSxROWS such as 512x1 (at least 2 tokens)");
  return {number(0), number(1)};
}

/// Short names for what is varied most; --set reaches every other key.
void add_options(CLI::App& app, Options& o) {
  app.add_option("--model", o.model, "folder, .gguf or hub id; default: the cached default model, else random weights of its shape");
  app.add_option("--shape", o.shapes, "TOKENSxROWS of a step, repeatable")->capture_default_str();
  app.add_option("--steps", o.steps, "steps measured, the first not counted")->check(CLI::Range(2, 10000))->capture_default_str();
  app.add_option("--quant", o.config.quantization.format, "format of the frozen weights")->capture_default_str();
  app.add_option("--rank", o.config.adapter.rank, "adapter rank")->capture_default_str();
  app.add_option("--compute", o.config.device.compute, "auto, f32 or bf16")->capture_default_str();
  app.add_option("--policy", o.config.training.checkpointing, "training.checkpointing")->capture_default_str();
  app.add_option("--threads", o.config.device.threads, "0: all cores")->capture_default_str();
  app.add_option("--level", o.level, "CPU level to force");
  app.add_option("--set", o.settings, "key=value of any setting, repeatable");
  app.add_option("--generation", o.generation, "weight formats to load and write with, repeatable")->capture_default_str();
  app.add_flag("--no-steps", o.no_steps, "loading and generation only");
  app.add_flag("--no-generation", o.no_generation, "training steps only");
  app.add_option("--json", o.json, "also write everything to this file");
}

void settle(Options& o) {
  for (const std::string& s : o.settings) apply_set(o.config, s);
  detail::check_fields(o.config);
  for (const std::string& s : o.shapes) o.step_shapes.push_back(shape_from(s));
  if (o.level.empty()) return;
  const auto level = cpu_level_from_name(o.level);
  if (!level) throw ConfigError("--level", "--level: \"" + printable(o.level) + "\" is no CPU level (scalar, avx2, avx512, amx)");
  force_cpu_level(level);
}

/// The model asked for, else the default one, else random weights that live as long as `scratch`.
std::string model_or_random(const std::string& asked, std::optional<test::ScratchFolder>& scratch) {
  if (!asked.empty()) return resolve_model_path(asked);
  if (const std::string path = default_model_path(); !path.empty()) return path;
  std::fputs("the default model is not here; writing random weights of its shape\n", stderr);
  scratch.emplace();
  write_random_model(scratch->path());
  return scratch->path();
}

void print_peaks(const Peaks& peaks) {
  fmt::print("peak of this machine, loops in registers   one thread   all threads\n");
  for (const Peak& p : peaks.units) fmt::print("  {:<38} {:>8.1f}   {:>8.1f} GFLOP/s\n", p.unit, p.one_thread, p.all_threads);
  fmt::print("  {:<38} {:>19.1f} GB/s\n", "memory copy, read + written", peaks.copy_gb_per_s);
}

void print_step(const StepFigures& f, double peak) {
  fmt::print("\nstep of {} x {} tokens, compute {} ({}), checkpointing {}\n", f.shape.batch, f.shape.tokens, f.compute, f.unit, f.policy);
  fmt::print("  {:.0f} tokens/s ({:.0f} ms, best {:.0f}); {:.1f} GFLOP/s of the model's {:.1f} GFLOP", f.tokens_per_s(), f.median_ms,
             f.best_ms, f.gflops(), f.flops.total() * 1e-9);
  if (peak > 0) fmt::print(", {:.0f} % of the unit's peak", 100 * f.gflops() / peak);
  fmt::print("\n  linears {:.1f}, adapters {:.1f}, attention {:.1f}, head {:.1f} GFLOP; first step done after {:.2f} s\n", f.flops.linears * 1e-9,
             f.flops.adapters * 1e-9, f.flops.attention * 1e-9, f.flops.head * 1e-9, f.first_step_s);
  fmt::print("  peak memory {} ({} planned), tensors {}\n", human_bytes(f.peak_bytes), human_bytes(f.planned_bytes), human_bytes(f.peak_tensor_bytes));
  fmt::print("  {:<28} {:>7} {:>10} {:>7}\n", "op", "calls", "ms/step", "share");
  for (const OpShare& o : f.ops) fmt::print("  {:<28} {:>7.0f} {:>10.2f} {:>6.1f}%\n", o.op, o.calls_per_step, o.ms_per_step, 100 * o.share);
}

void print_generation(const GenerationFigures& f) {
  fmt::print("  {:<6} loaded in {:.2f} s; prompt {:.0f} tokens/s, writing {:.1f} tokens/s; weights {}, peak memory {}\n", f.quantization, f.load_s,
             f.prompt_tokens_per_s, f.tokens_per_s, human_bytes(f.weight_bytes), human_bytes(f.peak_bytes));
}

Json measured_steps(const Options& o, const Peaks& peaks) {
  Json steps = Json::array();
  if (o.no_steps) return steps;
  for (const StepShape& shape : o.step_shapes) {
    const StepFigures f = measure_steps(o.config, shape, o.steps);
    const double peak = peaks.of(f.unit).value_or(0);
    print_step(f, peak);
    std::fflush(stdout);
    steps.push_back(step_figures_to_json(f, peak));
  }
  return steps;
}

Json measured_generation(const Options& o) {
  Json rows = Json::array();
  if (o.no_generation) return rows;
  fmt::print("\nloading and generation\n");
  for (const std::string& format : o.generation) {
    const GenerationFigures f = measure_generation(o.config.model.path, format, static_cast<int>(o.config.device.threads),
                                                   detail::compute_type_of(o.config.device.compute, format, DeviceType::cpu));
    print_generation(f);
    rows.push_back(generation_to_json(f));
  }
  return rows;
}

int run(Options& o) {
  settle(o);
  std::optional<test::ScratchFolder> scratch;
  o.config.model.path = model_or_random(o.model, scratch);
  Peaks peaks;
  int threads = 0;
  {
    ThreadPool pool(o.config.device.threads > 0 ? static_cast<int>(o.config.device.threads) : default_threads());
    threads = pool.threads();
    peaks = measure_peaks(pool);
  }
  fmt::print("{}, {} threads, level {}\n", cpu_probe().model_name, threads, cpu_level_name(cpu_level()));
  print_peaks(peaks);
  std::fflush(stdout);
  const Json steps = measured_steps(o, peaks), generation = measured_generation(o);
  if (!o.json.empty())
    write_file_atomic(o.json, dump_json({{"machine", machine_to_json(threads)},
                                         {"peaks", peaks_to_json(peaks)},
                                         {"model", fs::path(o.config.model.path).filename().string()},
                                         {"quantization", o.config.quantization.format},
                                         {"rank", o.config.adapter.rank},
                                         {"steps", steps},
                                         {"generation", generation}}, 2) + "\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  register_cpu_kernels();
  Options options;
  CLI::App app("Speed of whole training steps on this machine");
  add_options(app, options);
  CLI11_PARSE(app, argc, argv);
  try {
    return run(options);
  } catch (const std::exception& e) {
    fmt::print(stderr, "step_bench: {}\n", e.what());
    return 1;
  }
}
