// lorikeet device, lorikeet selftest: what this machine offers and whether its kernels compute rightly.
#include <fmt/format.h>

#include "app/backends.h"
#include "app/cli/cli.h"
#include "core/base/text.h"
#include "core/run/queries.h"

namespace lorikeet::cli {
namespace {

std::string gpu_text(const Json& g) {
  std::string text = fmt::format("GPU {:<4} {}, {}", g.value("index", 0), g.value("name", ""), human_bytes(g.value("bytes", uint64_t{0})));
  if (g.contains("used_bytes")) text += fmt::format(", {} used", human_bytes(g["used_bytes"].get<uint64_t>()));
  if (g.contains("busy_percent")) text += fmt::format(", {} % busy", g["busy_percent"].get<int>());
  if (g.contains("temperature_c")) text += fmt::format(", {} °C", g["temperature_c"].get<int>());
  return text + "\n";
}

std::string device_text(const Json& j) {
  const Json& cpu = j["cpu"];
  std::string levels;
  for (const auto& l : cpu["levels_available"]) levels += (levels.empty() ? "" : ", ") + l.get<std::string>();
  std::string text = fmt::format("CPU      {}\nlevel    {} of {} ({})\nthreads  {}\nmemory   {} of {} free\n", cpu.value("name", ""), cpu.value("level", ""), levels,
                                 cpu.value("why", ""), cpu.value("threads", 0), human_bytes(cpu.value("available_bytes", uint64_t{0})),
                                 human_bytes(cpu.value("bytes", uint64_t{0})));
  for (const auto& g : j["gpus"]) text += gpu_text(g);
  for (const auto& r : j["refused"]) text += "refused  " + r.get<std::string>() + "\n";
  return text;
}

}  // namespace

void add_device(CLI::App& app, Cli& cli) {
  auto* c = app.add_subcommand("device", "what this machine offers: CPU level and why, threads, memory, GPUs, what was refused");
  c->footer("\nExamples:\n  lorikeet device\n  lorikeet device --json --cpu-level avx2");
  c->callback([&cli] {
    cli.action = [&cli] {
      cli.check_common();
      const Json j = machine_information();
      cli.print(j, device_text(j));
      return kExitDone;
    };
  });
}

void add_selftest(CLI::App& app, Cli& cli) {
  auto* c = app.add_subcommand("selftest", "every kernel level present against the f64 reference; largest errors and speed");
  c->footer("\nExamples:\n  lorikeet selftest\n  lorikeet selftest --json --threads 1");
  c->callback([&cli] {
    cli.action = [&cli]() -> int {
      cli.check_common();
      const Json j = run_selftest(cli.common.threads, cli.common.device);
      std::string text;
      for (const auto& l : j["levels"]) {
        const std::string name = l["name"].get<std::string>(), verdict = l["passed"].get<bool>() ? "passed" : "FAILED";
        text += fmt::format("{:<8} largest error {:.2e}", name, l["max_error"].get<double>());
        if (l.contains("gflops")) {
          text += fmt::format("   {:>7.1f} GFLOP/s, bf16 {:>7.1f}   NF4 decode {:.2f} G weights/s   {}\n", l["gflops"].get<double>(), l["bf16"].value("gflops", 0.0),
                              l.value("nf4_gweights_per_s", 0.0), verdict);
          continue;
        }
        for (const char* type : {"bf16", "f16"})
          if (l.contains(type)) text += fmt::format(", in {} {:.2e}", type, l[type].value("max_error", 0.0));
        text += fmt::format("   {}   {}\n", l.value("device", ""), verdict);
      }
      text += j["passed"].get<bool>() ? "passed\n" : "FAILED\n";
      cli.print(j, text);
      return j["passed"].get<bool>() ? kExitDone : kExitFailed;
    };
  });
}

}  // namespace lorikeet::cli
