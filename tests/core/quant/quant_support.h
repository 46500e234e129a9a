/// What the tests of the weight formats share: the matrices of the fixture scripts, normal data, decoding a whole
/// weight, and running a body on every CPU level of the machine.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "core/quant/weight_format.h"
#include "core/tensor/cpu_level.h"

namespace lorikeet::test {

inline uint64_t splitmix64(uint64_t seed, uint64_t index) {
  uint64_t z = seed + (index + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/// The matrices of tests/tools/make_bnb_fixtures.py, bit for bit.
inline std::vector<float> fixture_matrix(const std::string& kind, int64_t n, int64_t block, uint64_t seed) {
  std::vector<float> w(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    const uint64_t z = splitmix64(seed, static_cast<uint64_t>(i));
    int64_t total = -131070;
    for (int k = 0; k < 4; ++k) total += static_cast<int64_t>((z >> (16 * k)) & 0xffff);
    if (kind == "coarse") total = static_cast<int64_t>(std::floor(static_cast<double>(total) / 8192)) * 8192;
    float v = static_cast<float>(total) * 0x1p-22f;
    if (kind == "zero_blocks" && (i < 2 * block || i / block == 5)) v = 0;
    if (kind == "constant") v = 0.375f;
    if (kind == "zeros") v = 0;
    if (kind == "tiny") v *= 0x1p-100f;
    if (kind == "outliers" && i % (10 * block + 7) == 0) v *= 64;
    w[static_cast<size_t>(i)] = v;
  }
  return w;
}

inline std::vector<float> normal_values(int64_t n, uint64_t seed) {
  RandomStream random(seed, stream_of("quant tests"));
  std::vector<float> w(static_cast<size_t>(n));
  for (float& v : w) v = static_cast<float>(random.normal());
  return w;
}

inline std::vector<float> decoded(const FrozenWeight& w) {
  std::vector<float> out(static_cast<size_t>(w.rows() * w.columns()));
  w.decode_rows(0, w.rows(), out.data(), w.columns());
  return out;
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// Forces a CPU level for its lifetime.
class WithLevel {
 public:
  explicit WithLevel(CpuLevel level) { force_cpu_level(level); }
  ~WithLevel() { force_cpu_level(std::nullopt); }
};

inline FrozenWeightPtr encoded(Context& cx, const std::string& format, const std::vector<float>& w, int64_t rows,
                               QuantOptions o = {}) {
  return weight_formats().get(format)->encode(cx, w.data(), rows, static_cast<int64_t>(w.size()) / rows, o);
}

}  // namespace lorikeet::test
