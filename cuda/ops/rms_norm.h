/// CUDA twin of core/ops/rms_norm.h. Called through the op's slots; arguments are checked there.
#pragma once
#include "core/ops/rms_norm.h"

namespace lorikeet::cuda {

void rms_norm(Context& cx, const RmsNormArgs& a);
void rms_norm_backward(Context& cx, const RmsNormBackwardArgs& a);

}  // namespace lorikeet::cuda
