/// The AdamW family: torch.optim.AdamW's update (core/ops/adamw_update.h) on moments in f32, or in 8 bits as bitsandbytes
/// holds them (core/ops/adamw8bit_update.h); in memory, or paged: in a mapped file of the run's folder. Where the state
/// lives changes no bit of it.
#pragma once
#include "core/optim/optimizer.h"

namespace lorikeet {

std::unique_ptr<Optimizer> make_adamw(std::vector<NamedParameter> parameters, const OptimizerOptions& options);
/// Parameters of fewer than 4096 elements keep f32 moments, as in bitsandbytes.
std::unique_ptr<Optimizer> make_adamw8bit(std::vector<NamedParameter> parameters, const OptimizerOptions& options);
/// The paged ones throw IoError when the folder has no room for the state.
std::unique_ptr<Optimizer> make_paged_adamw(std::vector<NamedParameter> parameters, const OptimizerOptions& options);
std::unique_ptr<Optimizer> make_paged_adamw8bit(std::vector<NamedParameter> parameters, const OptimizerOptions& options);
uint64_t adamw_state_bytes(int64_t elements);
uint64_t adamw8bit_state_bytes(int64_t elements);

}  // namespace lorikeet
