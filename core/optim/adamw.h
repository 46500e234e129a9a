/// The optimizer "adamw": torch.optim.AdamW's update with f32 moments (see core/ops/adamw_update.h).
#pragma once
#include "core/optim/optimizer.h"

namespace lorikeet {

std::unique_ptr<Optimizer> make_adamw(std::vector<NamedParameter> parameters, const OptimizerOptions& options);

}  // namespace lorikeet
