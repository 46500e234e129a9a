/// int8, int4, int3, int2: symmetric linear codes with one f32 scale per block.
#pragma once
#include "core/quant/weight_format.h"

namespace lorikeet {

const WeightFormat* int8_format();
const WeightFormat* int4_format();
const WeightFormat* int3_format();
const WeightFormat* int2_format();

}  // namespace lorikeet
