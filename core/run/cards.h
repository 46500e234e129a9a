/// Common graphics cards, so that a run can be planned for one that is not here (`lorikeet plan --device-model`).
/// From the makers' data sheets: memory, its bandwidth, and dense bf16 products with f32 sums (f16 before sm_80).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lorikeet {

struct Card {
  std::string_view name;
  int capability;        // 10 * major + minor
  double gigabytes;      // 2^30 bytes
  double teraflops;      // 10^12 operations a second
  double bandwidth;      // 10^9 bytes a second
  /// What a program finds free on a card without a display, less its own context.
  uint64_t usable_bytes() const { return static_cast<uint64_t>((gigabytes * 0.985 - 0.5) * 1073741824.0); }
};
const std::vector<Card>& cards();
/// By name, whatever the case, spaces, and "NVIDIA" or "GeForce" before it. Throws ConfigError naming those known.
const Card& card_named(const std::string& name);

}  // namespace lorikeet
