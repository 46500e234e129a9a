#include "core/ops/embedding.h"

#include "core/ops/op_check.h"

namespace lorikeet {

KernelSlot<EmbeddingFn>& embedding_slot() {
  static KernelSlot<EmbeddingFn> slot("embedding");
  return slot;
}

void embedding(Context& cx, const EmbeddingArgs& a) {
  const OpCheck check("embedding", cx, a.y.dtype());
  check.rank("ids", a.ids, 1);
  check.tensor("ids", a.ids, a.ids.shape(), DType::i32);
  check.tensor("y", a.y, {a.ids.dim(0), a.table.columns()});
  check.indices("ids", a.ids, a.table.rows());
  embedding_slot().get(cx.device())(cx, a);
}

}  // namespace lorikeet
