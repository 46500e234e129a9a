/// Device memory and speed of a training run on a graphics card, in closed form from sizes.
#pragma once
#include "core/run/cards.h"
#include "core/run/detail/memory_estimate.h"

namespace lorikeet::detail {

/// Bytes the run's tensors and scratch take of the device at its peak; the program's own context is not among them.
PlanBytes estimate_gpu_memory(const MemoryQuestion& q);
/// Seconds of a pass, forward and backward, over one micro-batch of so many operations: a rough figure for a first plan only,
/// replaced by a measurement after the first run. `passes`: over each weight, by the checkpointing policy.
double gpu_pass_seconds(const Card& card, const ModelConfig& model, double flops, double passes);

}  // namespace lorikeet::detail
