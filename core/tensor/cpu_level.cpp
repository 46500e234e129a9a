// The probe asks the CPU and the system (xgetbv: does it save the wide registers?) before any wide instruction runs.
#include "core/tensor/cpu_level.h"

#include <cpuid.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/base/topology.h"
#include "core/tensor/amx_probe.h"
#include "core/tensor/bf16_probe.h"

namespace lorikeet {
namespace {

std::optional<CpuLevel> forced;

uint64_t enabled_state() {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return 0;
  unsigned low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t{high} << 32) | low;
}

std::string cpu_name() {
  std::ifstream in("/proc/cpuinfo");
  std::string line;
  while (std::getline(in, line))
    if (line.starts_with("model name")) return std::string(trim(line.substr(line.find(':') + 1)));
  return "unknown CPU";
}

CpuProbe probe() {
  CpuProbe p;
  p.model_name = cpu_name();
  p.available.push_back(CpuLevel::scalar);
  unsigned a1 = 0, b1 = 0, c1 = 0, d1 = 0, a7 = 0, b7 = 0, c7 = 0, d7 = 0;
  __get_cpuid(1, &a1, &b1, &c1, &d1);
  __get_cpuid_count(7, 0, &a7, &b7, &c7, &d7);
  const uint64_t state = enabled_state();
  const bool avx2 = (state & 0x6) == 0x6 && (c1 & bit_FMA) && (c1 & bit_F16C) && (b7 & bit_AVX2);
  const bool avx512 = avx2 && (state & 0xE6) == 0xE6 && (b7 & bit_AVX512F) && (b7 & bit_AVX512BW) && (b7 & bit_AVX512DQ) && (b7 & bit_AVX512VL);
  if (avx2) p.available.push_back(CpuLevel::avx2);
  else p.refused.push_back("avx2: this CPU or system does not offer AVX2 with FMA");
  if (avx512) p.available.push_back(CpuLevel::avx512);
  else p.refused.push_back("avx512: this CPU or system does not offer AVX-512 F, BW, DQ and VL");
  unsigned a71 = 0, b71 = 0, c71 = 0, d71 = 0;
  if (a7 >= 1) __get_cpuid_count(7, 1, &a71, &b71, &c71, &d71);
  p.bf16_dot = avx512 && (a71 & bit_AVX512BF16);
  // Tiles go with the bf16 conversions that pack for them.
  const std::string no_tiles = p.bf16_dot ? amx_refusal() : "this CPU has no AMX bf16 tiles with AVX-512 bf16 conversions";
  const bool amx = no_tiles.empty();
  if (amx) p.available.push_back(CpuLevel::amx);
  else p.refused.push_back("amx: " + no_tiles);
  p.best = p.available.back();
  p.why = amx ? "AMX bf16 tiles found, allowed by the system and right in a trial product" : avx512 ? "AVX-512 found and enabled by the system" : avx2 ? "AVX2 with FMA found" : "no wide instructions found: plain code";
  return p;
}

}  // namespace

std::string_view cpu_level_name(CpuLevel level) {
  constexpr std::string_view kNames[] = {"scalar", "avx2", "avx512", "amx"};
  return kNames[static_cast<size_t>(level)];
}

std::optional<CpuLevel> cpu_level_from_name(std::string_view name) {
  for (CpuLevel l : {CpuLevel::scalar, CpuLevel::avx2, CpuLevel::avx512, CpuLevel::amx})
    if (cpu_level_name(l) == name) return l;
  return std::nullopt;
}

std::string_view compute_type_name(ComputeType c) {
  constexpr std::string_view kNames[] = {"f32", "bf16", "f16"};
  return kNames[static_cast<size_t>(c)];
}

std::optional<ComputeType> compute_type_from_name(std::string_view name) {
  for (ComputeType c : {ComputeType::f32, ComputeType::bf16, ComputeType::f16})
    if (compute_type_name(c) == name) return c;
  return std::nullopt;
}

const CpuProbe& cpu_probe() {
  static const CpuProbe p = probe();
  return p;
}

CpuLevel cpu_level() {
  std::optional<CpuLevel> wanted = forced;
  if (!wanted)
    if (const char* set = std::getenv("LORIKEET_CPU_LEVEL"); set && *set) {
      wanted = cpu_level_from_name(set);
      if (!wanted) throw UnsupportedError("LORIKEET_CPU_LEVEL=" + printable(set, 40) + ": known are scalar, avx2, avx512, amx");
    }
  const CpuProbe& p = cpu_probe();
  if (!wanted) return p.best;
  if (std::find(p.available.begin(), p.available.end(), *wanted) == p.available.end())
    throw UnsupportedError("CPU level " + std::string(cpu_level_name(*wanted)) + " is not offered by this machine (" + p.model_name + ")");
  return *wanted;
}

ComputeType fast_compute(CpuLevel level) {
  if (level == CpuLevel::amx) return ComputeType::bf16;
  if (level != CpuLevel::avx512 || !cpu_probe().bf16_dot) return ComputeType::f32;
  constexpr double kWorthIt = 1.2;  // rounding has to buy something
  static const bool pays = bf16_dot_gain() >= kWorthIt;
  return pays ? ComputeType::bf16 : ComputeType::f32;
}

int default_threads(CpuLevel level) {
  const Topology t = read_topology();
  return level == CpuLevel::amx ? t.physical() : t.usable();
}
int default_threads() { return default_threads(cpu_level()); }

void force_cpu_level(std::optional<CpuLevel> level) { forced = level; }

}  // namespace lorikeet
