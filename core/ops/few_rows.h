/// The forward pass of adapted_linear for a handful of rows, as generation makes it: bound by reading the weight, so it
/// is multiplied straight from its stored form (FrozenWeight::multiply_few) instead of through panels and a GEMM.
/// Always in f32, whatever the context computes in. A row's result has the same bits whatever rows stand beside it and
/// however many threads there are: decoding many texts at once gives what decoding them one by one gives.
#pragma once
#include "core/ops/adapted_linear.h"

namespace lorikeet::ops {

constexpr int64_t kMostFewRows = 16;

/// x in f32 with at most kMostFewRows rows; arguments checked by adapted_linear().
void adapted_linear_few_rows(Context& cx, const AdaptedLinearArgs& a);

}  // namespace lorikeet::ops
