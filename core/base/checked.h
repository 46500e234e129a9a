/// Arithmetic on sizes that come from files: overflow is an answer, never a wrap.
#pragma once
#include <cstdint>
#include <optional>

namespace lorikeet {

inline std::optional<uint64_t> checked_add(uint64_t a, uint64_t b) {
  uint64_t r;
  if (__builtin_add_overflow(a, b, &r)) return std::nullopt;
  return r;
}
inline std::optional<uint64_t> checked_mul(uint64_t a, uint64_t b) {
  uint64_t r;
  if (__builtin_mul_overflow(a, b, &r)) return std::nullopt;
  return r;
}
/// Rounds up to a multiple of `unit` (> 0).
inline std::optional<uint64_t> checked_round_up(uint64_t a, uint64_t unit) {
  auto s = checked_add(a, unit - 1);
  if (!s) return std::nullopt;
  return *s / unit * unit;
}

}  // namespace lorikeet
