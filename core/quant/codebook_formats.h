/// nf4, nf3, nf2 and fp4: blocks divided by their largest magnitude, each value coded as the nearest entry of a table.
#pragma once
#include "core/quant/weight_format.h"

namespace lorikeet {

const WeightFormat* nf4_format();
const WeightFormat* nf3_format();
const WeightFormat* nf2_format();
const WeightFormat* fp4_format();

}  // namespace lorikeet
