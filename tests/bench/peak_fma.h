/// The most f32 multiply-adds one thread does at a CPU level: chains held in registers, no memory.
#pragma once
#include "core/tensor/cpu_level.h"

namespace lorikeet::bench {
/// GFLOP/s of one thread, best of several short runs.
double peak_gflops(CpuLevel level);
}  // namespace lorikeet::bench
