/// How a number of the step and one of the layer become the seed that a layer's masks are drawn from: the odd constant of
/// the golden ratio, as in splitmix64.
#pragma once
#include <cstdint>

namespace lorikeet {

constexpr uint64_t kSeedMix = 0x9E3779B97F4A7C15ull;
inline uint64_t mixed_seed(uint64_t step, uint64_t layer) { return step * kSeedMix ^ layer; }

}  // namespace lorikeet
