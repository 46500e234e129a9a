#include "core/ops/embedding.h"

#include "core/ops/checks.h"

namespace lorikeet {

KernelSlot<EmbeddingFn>& embedding_slot() {
  static KernelSlot<EmbeddingFn> slot("embedding");
  return slot;
}

void embedding(Context& cx, const EmbeddingArgs& a) {
  ops::check_i32("embedding", a.ids, "ids");
  ops::check_float("embedding", a.y, "y");
  ops::check_shape("embedding", a.y, "y", {a.ids.size(), a.table.columns()});
  if (a.ids.device() != a.table.device() || (a.table.device() != DeviceType::cpu && a.table.device() != cx.device()))
    throw UnsupportedError("embedding: ids on " + std::string(device_name(a.ids.device())) + ", the table on " + std::string(device_name(a.table.device())) + ", work on " +
                           std::string(device_name(cx.device())) + "; wanted ids beside the table, and that here or on the host");
  const int32_t* ids = ops::indices_to_check(a.ids);
  for (int64_t t = 0; ids && t < a.ids.size(); ++t)
    if (ids[t] < 0 || ids[t] >= a.table.rows())
      throw ShapeError("embedding: id " + std::to_string(ids[t]) + " at token " + std::to_string(t) + "; the table has " + std::to_string(a.table.rows()) + " rows");
  embedding_slot().run(cx, a);
}

}  // namespace lorikeet
