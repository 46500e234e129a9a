/// Host memory of a training run on the CPU, in closed form from sizes: resident bytes of the process at its peak.
/// Every constant says what it stands for and where it was seen.
#pragma once
#include "core/optim/optimizer.h"
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
/// The adapter's rank of each of `shapes`, 0 for those it does not sit on.
std::vector<int64_t> ranks_of(const MemoryQuestion& q, const std::vector<LinearShape>& shapes);
/// Bytes of the weights as the run holds them, and the bits a weight of the linears takes.
struct WeightSize { uint64_t bytes = 0; double bits_per_weight = 0; };
WeightSize weight_size(const RunConfig& config, const ModelFacts& model);
/// The optimizer the settings name; adamw where there is none of that name, which is a finding of its own.
const OptimizerKind& optimizer_kind(const RunConfig& config);
/// Bytes of the optimizer's state, wherever it lives: exact for the factors of the adapted linears, f32 moments for what a
/// method trains beside them.
uint64_t optimizer_state_bytes(const MemoryQuestion& q);
/// Bytes of one checkpoint on disk.
uint64_t checkpoint_bytes(int64_t trainable, uint64_t state_bytes);

}  // namespace lorikeet::detail
