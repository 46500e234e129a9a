#include <vector>

#include "core/ops/cpu_twins.h"

namespace lorikeet {

void embedding_cpu(Context& cx, const EmbeddingArgs& a) {
  const int64_t width = a.table.columns();
  const int32_t* ids = a.ids.data<int32_t>();
  cx.pool().for_blocks(a.ids.size(), 16, [&](int64_t begin, int64_t end, int thread) {
    auto* buffer = static_cast<float*>(cx.scratch(thread, 0, static_cast<size_t>(width) * sizeof(float)));
    for (int64_t t = begin; t < end; ++t) {
      if (a.y.dtype() == DType::f32) {
        a.table.decode_rows(ids[t], 1, a.y.row<float>(t), width);
        continue;
      }
      a.table.decode_rows(ids[t], 1, buffer, width);
      for (int64_t i = 0; i < width; ++i) a.y.row<double>(t)[i] = static_cast<double>(buffer[i]);
    }
  });
}

}  // namespace lorikeet
