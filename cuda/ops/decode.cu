// Decoding of stored weights: the choice of kernel. Kernels: decode_rows.cuh, decode_coded.cu, decode_stored.cu.
#include "cuda/ops/decode.h"

#include "core/base/error.h"

namespace lorikeet::cuda {
namespace {

void decode(const DeviceWeight& w, DecodeRange range, DType type, void* out, int64_t out_stride) {
  if (range.rows == 0 || range.width == 0) return;
  if (!is_half_row(type) && type != DType::f32) throw UnsupportedError("decode: weights as " + std::string(dtype_name(type)) + " on cuda");
  const auto size = static_cast<int64_t>(dtype_bytes(type));
  const bool one_row = range.rows == 1 && !range.ids;
  const bool whole = range.first % kUnit == 0 && (one_row || range.columns % kUnit == 0);
  range.vectors = whole && reinterpret_cast<uintptr_t>(out) % 16 == 0 && (range.rows == 1 || out_stride * size % 16 == 0);
  if (w.ggml_type() < 0) decode_coded(w.codes(), range, type, out, out_stride);
  else decode_stored(w.ggml_type(), w.stored().raw(), range, type, out, out_stride);
}

}  // namespace

void decode_weight(const DeviceWeight& w, int64_t row, int64_t count, DType type, void* out, int64_t out_stride) {
  const int64_t columns = w.columns();
  const bool gaps = out_stride != columns && count > 1;
  decode(w, {nullptr, row * columns, columns, gaps ? count : 1, gaps ? columns : count * columns, false}, type, out, out_stride);
}

void decode_gathered(const DeviceWeight& w, const int32_t* ids, int64_t count, DType type, void* out, int64_t out_stride) {
  decode(w, {ids, 0, w.columns(), count, w.columns(), false}, type, out, out_stride);
}

}  // namespace lorikeet::cuda
