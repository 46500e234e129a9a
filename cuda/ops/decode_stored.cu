// Weights as files store them. The kernel: decode_rows.cuh; the formats: decode_stored.cuh.
#include "cuda/ops/decode_stored.cuh"

#include "core/base/error.h"
#include "cuda/ops/decode_rows.cuh"

namespace lorikeet::cuda {

bool can_decode(int ggml_type) {
  return by_stored_format(ggml_type, [](auto) {});
}

void decode_stored(int ggml_type, const void* data, const DecodeRange& range, DType type, void* out, int64_t out_stride) {
  const bool known = by_stored_format(ggml_type, [&](auto source) {
    source.data = static_cast<const uint8_t*>(data);
    launch_decode(source, range, type, out, out_stride);
  });
  if (!known) throw UnsupportedError("decode: blocks of type " + std::to_string(ggml_type) + " on cuda");
}

}  // namespace lorikeet::cuda
