/// Stored weights to plain numbers on the device: what decode_rows() of the weight on the host gives, in f32 the same bits
/// and in bf16 and f16 those rounded to nearest even.
#pragma once
#include "cuda/runtime/device_weight.h"

namespace lorikeet::cuda {

/// Whether blocks of this ggml type can be decoded.
bool can_decode(int ggml_type);
/// Rows [row, row + count) to `out` (`type` bf16, f16 or f32), `out_stride` numbers between rows. Fastest without gaps.
void decode_weight(const DeviceWeight& w, int64_t row, int64_t count, DType type, void* out, int64_t out_stride);
/// Rows ids[0..count), which lie on the device: each in [0, rows of w); what stands for -1 is of no use.
void decode_gathered(const DeviceWeight& w, const int32_t* ids, int64_t count, DType type, void* out, int64_t out_stride);

/// Which rows a kernel decodes; made by the two above. Row r starts at element ids[r] * columns, or first + r * columns.
struct DecodeRange {
  const int32_t* ids;
  int64_t first, columns, rows;
  int64_t width;  // elements of each row that are wanted: `columns`, or all rows as one
  bool vectors;   // rows start at units, in the weight and 16-byte aligned in the output
};
void decode_coded(const DeviceCodes& c, const DecodeRange& range, DType type, void* out, int64_t out_stride);
void decode_stored(int ggml_type, const void* data, const DecodeRange& range, DType type, void* out, int64_t out_stride);

}  // namespace lorikeet::cuda
