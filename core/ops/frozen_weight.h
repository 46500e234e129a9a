/// FrozenWeight: what an op sees of a weight that is stored in any format (NF4, Q4_1, bf16, ...): a matrix
/// [rows, columns] that can decode a range of its rows. The formats themselves live in core/quant.
#pragma once
#include <cstdint>
#include <memory>
#include <string_view>

#include "core/tensor/dtype.h"

namespace lorikeet {

enum class CpuLevel;
struct CpuUnit;

/// Few rows of activations against rows of a weight: y[t * y_stride + r] = x[t] . W[row + r], all in f32.
struct FewRows {
  const float* x;
  int64_t x_stride, tokens;
  float* y;
  int64_t y_stride;
};

/// Where rows of a weight go as panels of bf16 (gemm_kernels.h), in steps of 16 words: `stride` between panels, `depth` to
/// be written, zeros behind the last number.
struct Bf16Panels {
  uint32_t* out;
  int64_t stride, depth;
};
enum class PanelColumns { rows, columns };  // what of the weight becomes the columns of the panels

/// A weight's bytes as files store them, rows one after the other without gaps (ggml type ids: core/quant/weight_format.h).
struct StoredForm {
  int ggml_type = -1;
  const void* data = nullptr;
  uint64_t bytes = 0;
};

class FrozenWeight {
 public:
  virtual ~FrozenWeight() = default;
  int64_t rows() const { return rows_; }        // output features
  int64_t columns() const { return columns_; }  // input features
  virtual std::string_view format() const = 0;  // a name of core/quant/weight_formats.cpp
  virtual DeviceType device() const { return DeviceType::cpu; }
  /// Bytes held in memory (or mapped) for this weight, scales and tables included.
  virtual uint64_t bytes() const = 0;
  /// Decodes rows [row, row + count) to f32, row-major, `out_stride` elements between rows. Thread-safe, allocates
  /// nothing. Rounding is exactly the format's: f32 arithmetic in the order its reference uses.
  virtual void decode_rows(int64_t row, int64_t count, float* out, int64_t out_stride) const = 0;
  /// Where the weight is blocks of a stored type (plain numbers too): those, for a device that decodes them itself; else type -1.
  virtual StoredForm stored_form() const { return {}; }
  /// Non-null when the rows are plain contiguous f32 and need no decoding.
  virtual const float* plain_f32() const { return nullptr; }
  /// Multiplies rows [row, row + count) straight from their stored form, without a decoded copy in memory; false when
  /// there is no such kernel for this format, width and level (then decode_rows serves). Weights are decoded to the
  /// same values as decode_rows gives, and a sum's order depends on the width and the level alone: a token's result is
  /// the same bits whatever stands beside it. Thread-safe, allocates nothing.
  virtual bool multiply_few(CpuLevel, int64_t /*row*/, int64_t /*count*/, const FewRows&) const { return false; }
  /// Writes rows [row, row + count) as panels without a decoded copy in memory: what decode_rows gives, rounded to nearest
  /// even. False when there is no such kernel for this format, width and unit. Thread-safe, allocates nothing.
  virtual bool pack_bf16(const CpuUnit&, int64_t /*row*/, int64_t /*count*/, PanelColumns, const Bf16Panels&) const { return false; }
  /// The whole weight as such panels where it keeps them (expanded_weight.h), without gaps; else null.
  virtual const uint32_t* bf16_panels(PanelColumns) const { return nullptr; }

 protected:
  FrozenWeight(int64_t rows, int64_t columns) : rows_(rows), columns_(columns) {}

 private:
  int64_t rows_, columns_;
};
using FrozenWeightPtr = std::shared_ptr<const FrozenWeight>;

}  // namespace lorikeet
