/// A frozen weight in device memory, in the form it is stored in: packed codes with their scales, or a file's blocks.
#pragma once
#include <string>

#include "core/ops/frozen_weight.h"
#include "core/tensor/tensor.h"

namespace lorikeet::cuda {

constexpr int kTableValues = 16, kScaleMap = 256;  // numbers of a weight's tables, in this order
constexpr int kUnit = 8;                           // elements that the kernels decode together

/// Codes with one scale a block of elements of the flattened matrix (core/quant/coded_weight.h).
struct DeviceCodes {
  int bits = 0;         // 2, 3, 4 or 8
  int block_shift = 0;  // a block is 2^block_shift elements, at least 32
  Tensor codes;         // u8, filled up to whole units
  Tensor absmax;        // f32 [blocks], plain scales; else these:
  Tensor scale_codes;   // u8 [blocks]
  Tensor group_maxima;  // f32 [groups]
  float offset = 0;
  int64_t group = 1;    // blocks a group
  Tensor tables;        // f32: what codes stand for, then what codes of scales stand for
};

class DeviceWeight final : public FrozenWeight {
 public:
  DeviceWeight(const FrozenWeight& source, DeviceCodes codes);
  /// Blocks of a ggml type; `data` u8, filled up to whole units.
  DeviceWeight(const FrozenWeight& source, int ggml_type, Tensor data);
  std::string_view format() const override { return format_; }
  DeviceType device() const override { return DeviceType::cuda; }
  uint64_t bytes() const override { return bytes_; }
  /// Decodes on the device and copies: for checks and exports.
  void decode_rows(int64_t row, int64_t count, float* out, int64_t out_stride) const override;

  /// -1: codes().
  int ggml_type() const { return ggml_type_; }
  const DeviceCodes& codes() const { return codes_; }
  const Tensor& stored() const { return stored_; }
  /// Where the rows lie as plain numbers of this type, without gaps; else null.
  const void* plain(DType type) const;

 private:
  std::string format_;
  uint64_t bytes_;
  int ggml_type_ = -1;
  DeviceCodes codes_;
  Tensor stored_;
};

/// Throws UnsupportedError when `w` lies elsewhere.
const DeviceWeight& device_weight(const char* op, const FrozenWeight& w);

}  // namespace lorikeet::cuda
