// Plain and doubly quantised block scales.
#include "core/quant/block_scales.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "core/ops/dynamic_map.h"

namespace lorikeet {
namespace {

constexpr int kLevels = 4, kAccumulators = 4;

/// Column sums of a [rows, 4, lanes] array by cascade: level 0 takes a run of rows, and each time a run is full it is
/// folded into the next level. The run length doubles with the logarithm of the row count.
template <int kLanes>
std::array<float, kAccumulators * kLanes> cascade_sum(const float* x, int64_t rows) {
  constexpr size_t kWidth = kAccumulators * kLanes;
  const int log2_rows = rows > 1 ? static_cast<int>(std::bit_width(static_cast<uint64_t>(rows - 1))) : 0;
  const int step_bits = std::max(4, log2_rows / kLevels);
  const int64_t step = int64_t{1} << step_bits, mask = step - 1;
  std::array<std::array<float, kWidth>, kLevels> level{};
  int64_t row = 0;
  const auto add_row = [&] {
    for (size_t k = 0; k < kWidth; ++k) level[0][k] += x[static_cast<size_t>(row) * kWidth + k];
    ++row;
  };
  while (row + step <= rows) {
    for (int64_t j = 0; j < step; ++j) add_row();
    for (size_t l = 1; l < kLevels; ++l) {
      for (size_t k = 0; k < kWidth; ++k) level[l][k] += level[l - 1][k];
      level[l - 1].fill(0.0f);
      if (row & (mask << (static_cast<int>(l) * step_bits))) break;
    }
  }
  while (row < rows) add_row();
  for (size_t l = 1; l < kLevels; ++l)
    for (size_t k = 0; k < kWidth; ++k) level[0][k] += level[l][k];
  return level[0];
}

/// Lane sums of a [n, lanes] array: the four accumulators take rows in turn, leftovers go to the first.
template <int kLanes>
std::array<float, kLanes> lane_sums(const float* x, int64_t n) {
  const int64_t rows = n / kAccumulators;
  const auto parts = cascade_sum<kLanes>(x, rows);
  std::array<float, kLanes> sum;
  std::copy_n(parts.begin(), kLanes, sum.begin());
  for (int64_t i = rows * kAccumulators; i < n; ++i)
    for (size_t k = 0; k < kLanes; ++k) sum[k] += x[static_cast<size_t>(i) * kLanes + k];
  for (size_t a = 1; a < kAccumulators; ++a)
    for (size_t k = 0; k < kLanes; ++k) sum[k] += parts[a * kLanes + k];
  return sum;
}

int64_t groups_of(int64_t blocks, int64_t group) { return (blocks + group - 1) / group; }

}  // namespace

float sum_in_torch_order(const float* x, int64_t n) {
  constexpr int kLanes = 8;
  if (n < kLanes) return lane_sums<1>(x, n)[0];
  const int64_t vectors = n / kLanes;
  const auto lanes = lane_sums<kLanes>(x, vectors);
  float sum = 0;
  for (int64_t i = vectors * kLanes; i < n; ++i) sum += x[i];
  for (float lane : lanes) sum += lane;
  return sum;
}

BlockScales BlockScales::plain(Tensor absmax) {
  BlockScales s;
  s.absmax_ = std::move(absmax);
  return s;
}

BlockScales BlockScales::doubly_quantised(const Tensor& absmax) {
  const int64_t blocks = absmax.size();
  const float* x = absmax.data<float>();
  BlockScales s;
  s.codes_ = Tensor::empty({blocks}, DType::u8);
  s.group_maxima_ = Tensor::empty({groups_of(blocks, kScalesPerGroup)});
  s.offset_ = blocks ? sum_in_torch_order(x, blocks) / static_cast<float>(blocks) : 0.0f;
  uint8_t* codes = s.codes_.data<uint8_t>();
  for (int64_t g = 0; g < s.group_maxima_.size(); ++g) {
    const int64_t begin = g * kScalesPerGroup, end = std::min(blocks, begin + kScalesPerGroup);
    float largest = 0;
    for (int64_t i = begin; i < end; ++i) largest = std::max(largest, std::fabs(x[i] - s.offset_));
    s.group_maxima_.data<float>()[g] = largest;
    const float inverse = largest == 0 ? 0 : 1.0f / largest;
    for (int64_t i = begin; i < end; ++i)
      codes[i] = largest == 0 ? uint8_t{0} : dynamic_code(signed_dynamic_map(), (x[i] - s.offset_) * inverse);
  }
  return s;
}

BlockScales BlockScales::from_parts(Tensor codes, Tensor group_maxima, float offset, int64_t group) {
  BlockScales s;
  s.codes_ = std::move(codes);
  s.group_maxima_ = std::move(group_maxima);
  s.offset_ = offset;
  s.group_ = group;
  return s;
}

uint64_t BlockScales::bytes() const {
  return nested() ? codes_.bytes() + group_maxima_.bytes() + sizeof offset_ : absmax_.bytes();
}

uint64_t BlockScales::bytes_for(int64_t blocks, bool nested) {
  const auto n = static_cast<uint64_t>(blocks);
  return nested ? n + 4 * static_cast<uint64_t>(groups_of(blocks, kScalesPerGroup)) + sizeof(float) : 4 * n;
}

const float* BlockScales::decode(int64_t first, int64_t count, const CodeTables& tables, float* buffer) const {
  if (!nested()) return absmax_.data<float>() + first;
  const uint8_t* codes = codes_.data<uint8_t>() + first;
  const float* maxima = group_maxima_.data<float>();
  for (int64_t i = 0; i < count;) {  // group by group: a division a scale would cost more than the rest
    const int64_t group = (first + i) / group_, end = std::min(count, (group + 1) * group_ - first);
    for (const float maximum = maxima[group]; i < end; ++i) {
      const float difference = tables.map[codes[i]] * maximum;
      buffer[i] = difference + offset_;
    }
  }
  return buffer;
}

}  // namespace lorikeet
