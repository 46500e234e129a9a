#include "core/ops/attention_parts.h"

#include <algorithm>
#include <cmath>

namespace lorikeet {

std::vector<int64_t> attention_chunks(int64_t rows, int64_t kv_heads) {
  constexpr int64_t kTasks = 16;
  const int64_t blocks = (rows + kAttentionPartRows - 1) / kAttentionPartRows;
  const int64_t count = std::clamp<int64_t>((kTasks + kv_heads - 1) / std::max<int64_t>(kv_heads, 1), 1, std::max<int64_t>(blocks, 1));
  std::vector<int64_t> starts = {0};
  for (int64_t c = 1; c < count; ++c) {  // blocks from b on have (1 - b / blocks)^2 of the work
    const double left = std::sqrt(1.0 - static_cast<double>(c) / static_cast<double>(count));
    const int64_t at = std::llround(static_cast<double>(blocks) * (1.0 - left)) * kAttentionPartRows;
    if (at > starts.back() && at < rows) starts.push_back(at);
  }
  starts.push_back(rows);
  return starts;
}

int64_t attention_part_stride(int64_t rows) { return (rows + 31) / 32 * 32 + 16; }

int64_t attention_part_bytes(int64_t rows, int64_t heads, int64_t kv_heads, int64_t head_dim) {
  const std::vector<int64_t> starts = attention_chunks(rows, kv_heads);
  int64_t columns = 0;
  for (size_t c = 0; c + 1 < starts.size(); ++c) columns += attention_part_stride(rows - starts[c]);
  return columns * heads * head_dim * static_cast<int64_t>(sizeof(float));
}

}  // namespace lorikeet
