#include "core/ops/head_rows.h"

#include <algorithm>
#include <bit>

namespace lorikeet::ops {

HeadRows::HeadRows(const FrozenWeight& head, ComputeType compute) : head_(head), common_(static_cast<size_t>(head.columns())) {
  constexpr int64_t kRows = 256;
  const int64_t width = head.columns(), vocabulary = head.rows(), count = std::min(kRows, vocabulary);
  std::vector<float> row(static_cast<size_t>(width));
  std::vector<double> sum(static_cast<size_t>(width), 0.0);
  bool exact = compute == ComputeType::bf16;
  for (int64_t i = 0; i < count; ++i) {
    head.decode_rows(i * vocabulary / count, 1, row.data(), width);
    for (size_t c = 0; c < row.size(); ++c) {
      sum[c] += static_cast<double>(row[c]);
      exact = exact && (std::bit_cast<uint32_t>(row[c]) & 0xFFFFu) == 0;
    }
  }
  if (exact) return;
  for (size_t c = 0; c < sum.size(); ++c) common_[c] = static_cast<float>(sum[c] / static_cast<double>(std::max<int64_t>(count, 1)));
}

void HeadRows::decode(int64_t row, int64_t count, float* out) const {
  const int64_t width = head_.columns();
  head_.decode_rows(row, count, out, width);
  const float* common = common_.data();
  for (int64_t r = 0; r < count; ++r)
    for (int64_t c = 0; c < width; ++c) out[r * width + c] -= common[c];
}

}  // namespace lorikeet::ops
