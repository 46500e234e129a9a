// Linear formats. Per block of consecutive elements of the flattened matrix: scale = absmax / (2^(bits-1) - 1),
// code = value / scale rounded to nearest (ties to even), value = code * scale. The scale stays f32: double
// quantisation belongs to the table formats, so QuantOptions::double_quant has no effect here.
#include "core/quant/integer_formats.h"

#include <algorithm>
#include <cmath>

#include "core/quant/coded_weight.h"

namespace lorikeet {
namespace {

constexpr int64_t kBlocksPerTask = 256;
constexpr int64_t kLargestBlock = 4096;
constexpr float kRoundToInteger = 12582912.0f;  // 1.5 * 2^23: adding and subtracting rounds to nearest even

class IntegerFormat final : public WeightFormat {
 public:
  IntegerFormat(std::string_view name, int bits) : name_(name), bits_(bits), largest_((1 << (bits - 1)) - 1) {}
  std::string_view name() const override { return name_; }
  FrozenWeightPtr encode(Context& cx, const float* w, int64_t rows, int64_t columns, const QuantOptions& o) const override;
  double bits_per_weight(int64_t rows, int64_t columns, const QuantOptions& o) const override {
    return 8.0 * static_cast<double>(bytes(rows, columns, o)) / static_cast<double>(rows * columns);
  }
  uint64_t bytes(int64_t rows, int64_t columns, const QuantOptions& o) const override {
    const BlockLayout l = block_layout(rows, columns, o);
    return code_bytes(l.elements, bits_) + BlockScales::bytes_for(l.blocks, false);
  }

 private:
  float encode_block(const float* w, int64_t n, uint8_t* out) const;

  std::string_view name_;
  int bits_, largest_;
};

float IntegerFormat::encode_block(const float* w, int64_t n, uint8_t* out) const {
  uint8_t codes[kLargestBlock];
  const auto limit = static_cast<float>(largest_);
  float absmax = 0;
  for (int64_t i = 0; i < n; ++i) absmax = std::max(absmax, std::fabs(w[i]));
  const float scale = absmax / limit;
  const int bias = bits_ == 8 ? 0 : largest_;  // 8 bits are stored as signed bytes, fewer as an index into the table
  for (int64_t i = 0; i < n; ++i) {
    const float v = scale > 0 ? std::clamp(w[i] / scale, -limit, limit) : 0.0f;
    codes[i] = static_cast<uint8_t>(static_cast<int>((v + kRoundToInteger) - kRoundToInteger) + bias);
  }
  pack_codes(codes, n, bits_, static_cast<uint8_t>(bias), out);
  return scale;
}

FrozenWeightPtr IntegerFormat::encode(Context& cx, const float* w, int64_t rows, int64_t columns,
                                      const QuantOptions& o) const {
  const BlockLayout l = block_layout(rows, columns, o);
  refuse_non_finite(cx, name_, w, rows, columns);
  Tensor codes = Tensor::empty({static_cast<int64_t>(code_bytes(l.elements, bits_))}, DType::u8);
  Tensor scales = Tensor::empty({l.blocks});
  cx.pool().for_blocks(l.blocks, kBlocksPerTask, [&](int64_t begin, int64_t end, int) {
    for (int64_t b = begin; b < end; ++b) {
      const int64_t first = b * l.block, n = std::min(l.block, l.elements - first);
      scales.data<float>()[b] = encode_block(w + first, n, codes.data<uint8_t>() + first * bits_ / 8);
    }
  });
  return std::make_shared<CodedWeight>(std::string(name_), rows, columns, bits_, l.block, std::move(codes),
                                       BlockScales::plain(std::move(scales)),
                                       bits_ == 8 ? nullptr : shared_tables(integer_codebook(bits_)));
}

}  // namespace

const WeightFormat* int8_format() { static const IntegerFormat f("int8", 8); return &f; }
const WeightFormat* int4_format() { static const IntegerFormat f("int4", 4); return &f; }
const WeightFormat* int3_format() { static const IntegerFormat f("int3", 3); return &f; }
const WeightFormat* int2_format() { static const IntegerFormat f("int2", 2); return &f; }

}  // namespace lorikeet
