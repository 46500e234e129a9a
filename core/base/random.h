/// Counter-based random numbers: value = f(seed, stream, counter), Philox4x32-10 (Salmon et al. 2011, SC'11).
/// Nothing is hidden in a generator's state, so a resumed run draws the same numbers.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace lorikeet {

std::array<uint32_t, 4> philox4x32(uint64_t key, uint64_t counter_high, uint64_t counter_low);

/// Reads numbers of one stream in order; copyable, restartable at any counter.
class RandomStream {
 public:
  RandomStream(uint64_t seed, uint64_t stream, uint64_t counter = 0) : seed_(seed), stream_(stream), counter_(counter) {}
  uint32_t next_u32();
  uint64_t next_u64();
  /// Uniform in [0, 1), 53 bits.
  double uniform();
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Standard normal (Box-Muller).
  double normal();
  /// Uniform integer in [0, n), without bias; n > 0.
  uint64_t below(uint64_t n);

 private:
  uint64_t seed_, stream_, counter_;
  std::array<uint32_t, 4> buffer_{};
  int left_ = 0;
  bool has_spare_ = false;
  double spare_ = 0;
};

/// A stream number from a name, stable across builds (FNV-1a 64).
uint64_t stream_of(std::string_view name);
/// Permutation of 0..n-1 drawn from (seed, stream): Fisher-Yates.
std::vector<uint32_t> permutation(uint32_t n, uint64_t seed, uint64_t stream);

}  // namespace lorikeet
