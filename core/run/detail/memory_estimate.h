/// Host memory of a training run on the CPU, in closed form from sizes: resident bytes of the process at its peak.
/// Every constant says what it stands for and where it was seen.
#pragma once
#include "core/run/detail/plan_facts.h"
#include "core/run/plan.h"

namespace lorikeet::detail {

struct MemoryQuestion {
  const RunConfig& config;
  const ModelFacts& model;
  const BatchFacts& batches;
  int64_t trainable = 0;              // values of the adapter
  std::vector<LinearShape> adapted;   // the linears it sits on
  uint64_t data_bytes = 0;            // encoded documents held in memory
  CheckpointPolicy policy = CheckpointPolicy::none;
};
PlanBytes estimate_memory(const MemoryQuestion& q);
/// Bytes of the weights as the run holds them, and the bits a weight of the linears takes.
struct WeightSize { uint64_t bytes = 0; double bits_per_weight = 0; };
WeightSize weight_size(const RunConfig& config, const ModelFacts& model);
/// Bytes of one checkpoint on disk.
uint64_t checkpoint_bytes(int64_t trainable);

}  // namespace lorikeet::detail
