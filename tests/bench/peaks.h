/// What this machine can do at most, measured in the process whose figures are held against it.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/base/json.h"
#include "core/base/threads.h"
#include "core/tensor/cpu_level.h"

namespace lorikeet::bench {

/// "avx512 f32", "avx512 bf16", "amx bf16": where a product of this unit is really computed. A level without a bf16
/// unit computes bf16 products with its f32 one.
std::string unit_name(CpuUnit unit);
/// All units of this machine, slowest level first.
std::vector<CpuUnit> available_units();

struct Peak {
  std::string unit;              // unit_name()
  double one_thread, all_threads;  // GFLOP/s by a loop in registers, on one thread and on all of the pool at once
};
struct Peaks {
  std::vector<Peak> units;
  double copy_gb_per_s = 0;  // memory copied by all threads, bytes read + bytes written
  /// GFLOP/s of all threads; nothing for a unit this machine lacks.
  std::optional<double> of(const std::string& unit) const;
  double one_thread_of(const std::string& unit) const;
};
/// Best of several short runs, under a second a unit. Keeps the larger figure of each where `known` has one.
Peaks measure_peaks(ThreadPool& pool, const Peaks& known = {});
Json peaks_to_json(const Peaks& peaks);
/// Model, cores, level, memory, compiler, version of the program: what a kept figure is worthless without.
Json machine_to_json(int threads);

}  // namespace lorikeet::bench
