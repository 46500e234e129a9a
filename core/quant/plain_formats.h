/// f32, f16, bf16: one number per weight, no scales.
#pragma once
#include "core/quant/weight_format.h"

namespace lorikeet {

const WeightFormat* f32_format();
const WeightFormat* f16_format();
const WeightFormat* bf16_format();

}  // namespace lorikeet
