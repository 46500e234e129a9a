/// Counter-based random numbers and dropout masks: the same bits as core/base/random.h and core/ops/dropout.h.
#pragma once
#include "core/ops/dropout_seed.h"
#include "cuda/device/kernel.cuh"

namespace lorikeet::cuda {

struct Random4 {
  uint32_t at[4];
};

/// Philox4x32-10 (Salmon et al. 2011, SC'11).
__device__ inline Random4 philox4x32(uint64_t key, uint64_t counter_high, uint64_t counter_low) {
  constexpr uint32_t kMul0 = 0xD2511F53u, kMul1 = 0xCD9E8D57u, kWeyl0 = 0x9E3779B9u, kWeyl1 = 0xBB67AE85u;
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  uint32_t c0 = static_cast<uint32_t>(counter_low), c1 = static_cast<uint32_t>(counter_low >> 32);
  uint32_t c2 = static_cast<uint32_t>(counter_high), c3 = static_cast<uint32_t>(counter_high >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint32_t high0 = __umulhi(kMul0, c0), low0 = kMul0 * c0, high1 = __umulhi(kMul1, c2), low1 = kMul1 * c2;
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += kWeyl0;
    k1 += kWeyl1;
  }
  return {{c0, c1, c2, c3}};
}

/// core/ops/dropout_seed.h where the step's number lies on the device; `step` null: the seed is all.
struct DropoutSeed {
  uint64_t seed;
  const uint32_t* step;
  __device__ uint64_t mixed() const { return step ? (static_cast<uint64_t>(step[1]) << 32 | step[0]) * kSeedMix ^ seed : seed; }
};

/// The mask of one row of a masked matrix: a keyed hash of the column against a threshold.
struct DropoutMask {
  Random4 key;
  uint32_t threshold;
  __device__ DropoutMask(uint64_t seed, int64_t row, uint32_t limit) : key(philox4x32(seed, 0, static_cast<uint64_t>(row))), threshold(limit) {}
  __device__ bool drops(uint32_t column) const {
    uint32_t h = (column ^ key.at[0]) * 0x9E3779B1u + key.at[1];
    h ^= h >> 16;
    h *= 0x85EBCA6Bu;
    h ^= (h >> 13) ^ key.at[2];
    h *= 0xC2B2AE35u;
    h ^= (h >> 16) ^ key.at[3];
    h *= 0x27D4EB2Fu;
    return (h ^ (h >> 15)) < threshold;
  }
};
/// The threshold and the factor of what is kept, for the launcher.
struct DropoutRate {
  uint32_t threshold;
  float scale;
  explicit DropoutRate(double p) : threshold(static_cast<uint32_t>(p * 4294967296.0)), scale(static_cast<float>(1 / (1 - p))) {}
};

}  // namespace lorikeet::cuda
