/// A matrix stored as 2- to 4-bit table codes or 8-bit integers with one scale per block of consecutive elements of
/// the flattened row-major matrix. Blocks may cross rows and the last may be short. What nf*, fp4 and int* share.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "core/ops/frozen_weight.h"
#include "core/quant/block_scales.h"
#include "core/quant/codebooks.h"
#include "core/quant/weight_format.h"
#include "core/tensor/tensor.h"

namespace lorikeet {

struct DecodeKernels;

class CodedWeight final : public FrozenWeight {
 public:
  /// `codes` u8, packed as core/quant/decode_kernels.h says; `tables` may be null for 8 bits.
  CodedWeight(std::string format, int64_t rows, int64_t columns, int bits, int64_t block, Tensor codes, BlockScales scales,
              std::shared_ptr<const CodeTables> tables);
  std::string_view format() const override { return format_; }
  uint64_t bytes() const override;
  void decode_rows(int64_t row, int64_t count, float* out, int64_t out_stride) const override;
  bool multiply_few(CpuLevel level, int64_t row, int64_t count, const FewRows& f) const override;
  bool pack_bf16(const CpuUnit& unit, int64_t row, int64_t count, PanelColumns columns, const Bf16Panels& to) const override;

  int bits() const { return bits_; }
  int64_t block() const { return block_; }
  const Tensor& codes() const { return codes_; }
  const BlockScales& scales() const { return scales_; }
  const CodeTables& tables() const { return *tables_; }

 private:
  void decode_elements(const DecodeKernels& k, int64_t first, int64_t count, float* out) const;
  void decode_inside_block(const DecodeKernels& k, int64_t first, int64_t count, float scale, float* out) const;
  void segment_scales(int64_t row, int64_t count, float* out) const;

  struct RowScales {
    int64_t in_row;  // 0: rows are not whole segments, or blocks are not
    int shift;       // 2^shift segments share one
    bool whole_blocks;
  };
  RowScales row_scales() const;
  const float* scales_of_rows(const RowScales& s, int64_t row, int64_t count, float* buffer) const;

  std::string format_;
  int bits_;
  int64_t block_;
  Tensor codes_;
  BlockScales scales_;
  std::shared_ptr<const CodeTables> tables_;
};

/// Bytes of `elements` codes of `bits` bits, whole groups of 8 elements for 3 bits.
uint64_t code_bytes(int64_t elements, int bits);
/// Packs `count` codes, the first of which starts a byte. Codes of a last unfinished byte are filled with `padding`.
void pack_codes(const uint8_t* codes, int64_t count, int bits, uint8_t padding, uint8_t* out);

/// Sizes common to all block formats; throws ConfigError when the block size is not a power of two in 32..4096.
struct BlockLayout {
  int64_t elements, block, blocks;
};
BlockLayout block_layout(int64_t rows, int64_t columns, const QuantOptions& o);

/// Throws RunError naming row and column of the first NaN or infinity.
void refuse_non_finite(Context& cx, std::string_view format, const float* w, int64_t rows, int64_t columns);

}  // namespace lorikeet
