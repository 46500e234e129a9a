// Single ops on this machine: products by unit as a share of a loop in registers, decoding and coding of every weight
// format by level, attention, and every op of a SmolLM2-135M training step. Prints figures, judges nothing.
//   ops_bench [tokens] [threads] [--json FILE]
#include <cstdio>

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "core/base/files.h"
#include "core/ops/cpu_kernels.h"
#include "tests/bench/ops_tables.h"

using namespace lorikeet;
using namespace lorikeet::bench;

namespace {

/// f32, and bf16 where this machine computes it with a unit of its own.
std::vector<ComputeType> compute_types() {
  const CpuLevel level = cpu_level();
  if (unit_name({level, ComputeType::bf16}) == unit_name(level)) return {ComputeType::f32};
  return {ComputeType::f32, ComputeType::bf16};
}

void all_tables(Report& report, Context& cx, const Peaks& peaks, int64_t tokens) {
  gemm_table(report, peaks, tokens);
  for (const ComputeType compute : compute_types()) {
    cx.set_compute(compute);
    linear_table(report, cx, tokens);
    attention_table(report, cx);
    head_table(report, cx, tokens);
  }
  cx.set_compute(ComputeType::f32);
  one_token_table(report, cx);
  op_table(report, cx, tokens);
  decode_table(report);
  one_token_formats_table(report);
  encode_table(report, cx);
}

}  // namespace

int main(int argc, char** argv) {
  register_cpu_kernels();
  int64_t tokens = 512;
  int threads = 0;
  std::string json;
  CLI::App app("Speed of single ops on this machine");
  app.add_option("tokens", tokens, "rows of the products")->check(CLI::Range(1, 65536))->capture_default_str();
  app.add_option("threads", threads, "0: all cores")->check(CLI::Range(0, 4096))->capture_default_str();
  app.add_option("--json", json, "also write everything to this file");
  CLI11_PARSE(app, argc, argv);
  try {
    Context cx(threads);
    Report report;
    const Peaks peaks = measure_peaks(cx.pool());
    fmt::print("{}, {} threads, level {}; memory copy {:.1f} GB/s\n", cpu_probe().model_name, cx.threads(), cpu_level_name(cx.level()), peaks.copy_gb_per_s);
    all_tables(report, cx, peaks, tokens);
    if (!json.empty())
      write_file_atomic(json, dump_json({{"machine", machine_to_json(cx.threads())}, {"peaks", peaks_to_json(peaks)}, {"tokens", tokens}, {"tables", report.json()}}, 2) + "\n");
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "ops_bench: {}\n", e.what());
    return 1;
  }
}
