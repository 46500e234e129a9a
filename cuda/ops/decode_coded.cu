// Weights of 2-, 3-, 4- and 8-bit codes. The kernel: decode_rows.cuh; how codes are read: decode_coded.cuh.
#include "cuda/ops/decode_coded.cuh"

#include "core/base/error.h"
#include "cuda/ops/decode_rows.cuh"

namespace lorikeet::cuda {

void decode_coded(const DeviceCodes& c, const DecodeRange& range, DType type, void* out, int64_t out_stride) {
  switch (c.bits) {
    case 2: return launch_decode(coded_source<2>(c), range, type, out, out_stride);
    case 3: return launch_decode(coded_source<3>(c), range, type, out, out_stride);
    case 4: return launch_decode(coded_source<4>(c), range, type, out, out_stride);
    case 8: return launch_decode(coded_source<8>(c), range, type, out, out_stride);
    default: throw UnsupportedError("decode: codes of " + std::to_string(c.bits) + " bits on cuda; wanted 2, 3, 4 or 8");
  }
}

}  // namespace lorikeet::cuda
