/// CPU levels: which instruction set the kernels use. Found once by a guarded probe, forceable for tests with
/// --cpu-level or LORIKEET_CPU_LEVEL. One binary carries all of them.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lorikeet {

enum class CpuLevel { scalar, avx2, avx512, amx };  // from slowest to fastest; amx is avx512 with bf16 tiles
std::string_view cpu_level_name(CpuLevel level);
std::optional<CpuLevel> cpu_level_from_name(std::string_view name);
/// What products compute in: f32, or operands rounded to bf16, on a GPU also to f16, with sums in f32.
enum class ComputeType { f32, bf16, f16 };
std::string_view compute_type_name(ComputeType c);
std::optional<ComputeType> compute_type_from_name(std::string_view name);
/// A level together with the type it computes in.
struct CpuUnit {
  CpuUnit(CpuLevel l, ComputeType c = ComputeType::f32) : level(l), compute(c) {}
  CpuLevel level;
  ComputeType compute;
};
struct CpuProbe {
  CpuLevel best = CpuLevel::scalar;
  std::vector<CpuLevel> available;   // slowest first
  bool bf16_dot = false;             // AVX-512 with VDPBF16PS
  std::string why;                   // one sentence: what was found and why `best` was chosen
  std::string model_name;            // from the system
  std::vector<std::string> refused;  // "avx512: not offered by this CPU"
};
const CpuProbe& cpu_probe();
/// The level kernels use now: forced by force_cpu_level(), else LORIKEET_CPU_LEVEL, else the best. Throws
/// UnsupportedError for a level the machine lacks or an unknown name.
CpuLevel cpu_level();
/// What a level computes fastest in: bf16 with tiles, or with dot products that a short measurement at the first call
/// finds to pay; else f32.
ComputeType fast_compute(CpuLevel level);
void force_cpu_level(std::optional<CpuLevel> level);
/// Threads where none are asked for. One for each physical core at the amx level, whose tiles two siblings share, so that
/// a second thread brings nothing; one for each usable CPU at the others, where siblings fill each other's waits.
int default_threads(CpuLevel level);
int default_threads();  // at the level used now

}  // namespace lorikeet
