/// Soft-capped attention scores: s' = cap tanh(s / cap), ds = ds' (1 - (s' / cap)^2).
#pragma once
#include <cmath>
#include <cstdint>

namespace lorikeet::ops {

/// x = cap tanh(scale x / cap): scaled and capped.
template <class T>
void cap_scores(T* x, int64_t n, double scale, double cap) {
  const auto slope = static_cast<T>(scale / cap), top = static_cast<T>(cap);
  for (int64_t i = 0; i < n; ++i) x[i] = top * std::tanh(slope * x[i]);
}

/// The factor of a gradient for a capped score.
template <class T>
T cap_slope(T capped, double cap) {
  const T t = capped / static_cast<T>(cap);
  return 1 - t * t;
}

}  // namespace lorikeet::ops
