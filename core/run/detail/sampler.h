/// Picks the next token from logits: greedy at temperature 0, else softmax at the temperature cut to the nucleus top_p
/// (Holtzman et al. 2020, arXiv:1904.09751). Draws come from a counter-based stream: same seed, same text.
#pragma once
#include <cstdint>

#include "core/base/random.h"

namespace lorikeet::detail {

/// `logits` [size] f32. Greedy takes the lowest id among equals. Throws RunError when no logit is finite.
int32_t sample_token(const float* logits, int64_t size, double temperature, double top_p, RandomStream& random);

}  // namespace lorikeet::detail
