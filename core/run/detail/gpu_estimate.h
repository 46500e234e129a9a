/// Device memory and speed of a training run on a graphics card, in closed form from sizes.
#pragma once
#include "core/run/cards.h"
#include "core/run/detail/memory_estimate.h"

namespace lorikeet::detail {

/// Bytes the run's tensors and scratch take of the device at its peak; the program's own context is not among them.
PlanBytes estimate_gpu_memory(const MemoryQuestion& q);
/// Useful operations a second in training: a rough figure for a first plan only, replaced by a measurement after the first run.
double gpu_flops(const Card& card);

}  // namespace lorikeet::detail
