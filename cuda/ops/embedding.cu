// Row gather from a stored table: rows are decoded by the kernel of decode_rows.cuh, which takes them by a list of ids.
#include "core/base/error.h"
#include "cuda/ops/decode.h"
#include "cuda/ops/twins.h"

namespace lorikeet::cuda {

void embedding(Context&, const EmbeddingArgs& a) {
  if (a.y.dtype() != DType::f32) throw UnsupportedError("embedding: y in " + std::string(dtype_name(a.y.dtype())) + " on cuda; wanted f32");
  if (a.y.size() == 0) return;
  decode_gathered(device_weight("embedding", a.table), a.ids.data<int32_t>(), a.ids.size(), DType::f32, a.y.raw(), a.y.row_stride());
}

}  // namespace lorikeet::cuda
