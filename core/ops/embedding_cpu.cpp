// Each row is decoded on its own: the table is never decoded as a whole.
#include "core/ops/embedding.h"
#include "core/ops/tiles.h"

namespace lorikeet {

void embedding_cpu(Context& cx, const EmbeddingArgs& a) {
  const int64_t width = a.table.columns();
  cx.pool().for_blocks(a.ids.dim(0), row_block(width), [&](int64_t begin, int64_t end, int thread) {
    for (int64_t t = begin; t < end; ++t) {
      const int32_t id = a.ids.data<int32_t>()[t];
      if (a.y.dtype() == DType::f32) {
        a.table.decode_rows(id, 1, a.y.row<float>(t), width);
      } else {
        auto* row = scratch_of<float>(cx, thread, 0, width);
        a.table.decode_rows(id, 1, row, width);
        std::copy_n(row, width, a.y.row<double>(t));
      }
    }
  });
}

}  // namespace lorikeet
