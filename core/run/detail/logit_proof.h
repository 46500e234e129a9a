/// The proof that an export is what it was made from: both give the same logits on fixed token ids.
#pragma once
#include <vector>

#include "core/base/json.h"
#include "core/run/detail/loaded_model.h"

namespace lorikeet::detail {

/// Logits of the model as it is now, on ids that every model can read, the same at every call.
std::vector<Tensor> logits_on_probes(LoadedModel& m);
/// {max_abs_logit, mean_kl, top1_agreement, positions, passed}: largest logit difference, mean KL(a || b) and share of
/// equal top tokens over all positions.
Json compared_logits(const std::vector<Tensor>& a, const std::vector<Tensor>& b);

}  // namespace lorikeet::detail
