#include "tests/bench/peaks.h"

#include <algorithm>
#include <cstring>

#include "core/base/system.h"
#include "core/base/topology.h"
#include "tests/bench/peak_loops.h"

namespace lorikeet::bench {
namespace {

constexpr int kRuns = 5;
constexpr double kRunSeconds = 0.05;
constexpr size_t kCopyBytes = 128u << 20;  // a thread's share is far beyond any cache

const PeakKernel& kernel_of(const std::string& unit) {
  if (unit == "amx bf16") return kAmxTiles;
  if (unit == "avx512 bf16") return kBf16Dot;
  return unit == "avx512 f32" ? kAvx512Fma : unit == "avx2 f32" ? kAvx2Fma : kScalarFma;
}

/// Rounds that take about kRunSeconds.
long rounds_for(const PeakKernel& k) {
  volatile float sink = 0;
  for (long rounds = 10000;; rounds *= 2) {
    const double began = monotonic_seconds();
    sink = k.loop(rounds);
    if (monotonic_seconds() - began > kRunSeconds / 2) return rounds * 2;
  }
  (void)sink;
}

/// GFLOP/s of `threads` threads that run the loop at once.
double rate_of(const PeakKernel& k, ThreadPool& pool, int threads, long rounds) {
  double best = 0;
  std::vector<float> sinks(static_cast<size_t>(threads) * 64);
  for (int run = 0; run < kRuns; ++run) {
    const double began = monotonic_seconds();
    pool.run(threads, [&](int64_t t, int) { sinks[static_cast<size_t>(t) * 64] = k.loop(rounds); });
    best = std::max(best, k.flops_per_round * static_cast<double>(rounds) * threads / (monotonic_seconds() - began) * 1e-9);
  }
  return best;
}

double copy_rate(ThreadPool& pool) {
  const auto part = kCopyBytes / static_cast<size_t>(pool.threads());
  std::vector<std::vector<char>> from(static_cast<size_t>(pool.threads())), to = from;
  pool.run(pool.threads(), [&](int64_t t, int) {
    from[static_cast<size_t>(t)].assign(part, 1);
    to[static_cast<size_t>(t)].assign(part, 2);
  });
  double best = 0;
  for (int run = 0; run < kRuns; ++run) {
    const double began = monotonic_seconds();
    pool.run(pool.threads(), [&](int64_t t, int) {
      std::memcpy(to[static_cast<size_t>(t)].data(), from[static_cast<size_t>(t)].data(), part);
    });
    best = std::max(best, 2e-9 * static_cast<double>(part) * pool.threads() / (monotonic_seconds() - began));
  }
  return best;
}

}  // namespace

std::string unit_name(CpuUnit unit) {
  if (unit.compute == ComputeType::bf16 && unit.level == CpuLevel::amx) return "amx bf16";
  if (unit.compute == ComputeType::bf16 && unit.level == CpuLevel::avx512 && cpu_probe().bf16_dot) return "avx512 bf16";
  return std::string(cpu_level_name(std::min(unit.level, CpuLevel::avx512))) + " f32";
}

std::vector<CpuUnit> available_units() {
  std::vector<CpuUnit> units;
  for (const CpuLevel level : cpu_probe().available)
    for (const ComputeType compute : {ComputeType::f32, ComputeType::bf16}) {
      const CpuUnit unit(level, compute);
      const auto same = [&](const CpuUnit& u) { return unit_name(u) == unit_name(unit); };
      if (std::none_of(units.begin(), units.end(), same)) units.push_back(unit);
    }
  return units;
}

std::optional<double> Peaks::of(const std::string& unit) const {
  for (const Peak& p : units)
    if (p.unit == unit) return p.all_threads;
  return {};
}

double Peaks::one_thread_of(const std::string& unit) const {
  for (const Peak& p : units)
    if (p.unit == unit) return p.one_thread;
  return 0;
}

Peaks measure_peaks(ThreadPool& pool, const Peaks& known) {
  Peaks peaks;
  for (const CpuUnit& unit : available_units()) {
    const std::string name = unit_name(unit);
    const PeakKernel& k = kernel_of(name);
    const long rounds = rounds_for(k);
    peaks.units.push_back({name, std::max(known.one_thread_of(name), rate_of(k, pool, 1, rounds)),
                           std::max(known.of(name).value_or(0), rate_of(k, pool, pool.threads(), rounds))});
  }
  peaks.copy_gb_per_s = std::max(known.copy_gb_per_s, copy_rate(pool));
  return peaks;
}

Json peaks_to_json(const Peaks& peaks) {
  Json units = Json::array();
  for (const Peak& p : peaks.units)
    units.push_back({{"unit", p.unit}, {"one_thread_gflops", p.one_thread}, {"all_threads_gflops", p.all_threads}});
  return {{"units", units}, {"copy_gb_per_s", peaks.copy_gb_per_s}};
}

Json machine_to_json(int threads) {
  Json levels = Json::array();
  for (const CpuLevel level : cpu_probe().available) levels.push_back(std::string(cpu_level_name(level)));
  return {{"cpu", cpu_probe().model_name},
          {"cores", read_topology().physical()},
          {"logical_cpus", read_topology().usable()},
          {"threads", threads},
          {"memory_bytes", total_memory_bytes()},
          {"level", std::string(cpu_level_name(cpu_level()))},
          {"levels_available", levels},
          {"bf16_dot", cpu_probe().bf16_dot},
          {"compiler", __VERSION__},
          {"version", LORIKEET_VERSION},
          {"time", iso_time(wall_seconds())}};
}

}  // namespace lorikeet::bench
