// The table formats of QLoRA (arXiv:2305.14314). Coding is bit-equal to bitsandbytes 0.50 on a CPU:
// value * (1 / absmax) for whole blocks, value / absmax in a short last block, absmax not below 1e-38 there; a value on
// a threshold takes the lower entry; the unused half byte of an odd count holds the code of 0.
#include "core/quant/codebook_formats.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/quant/coded_weight.h"

namespace lorikeet {
namespace {

constexpr float kSmallestAbsmax = 1e-38f;
constexpr int64_t kBlocksPerTask = 256;
constexpr int64_t kLargestBlock = 4096;

float largest_magnitude(const float* w, int64_t n) {
  int32_t largest = 0;
  for (int64_t i = 0; i < n; ++i) largest = std::max(largest, std::bit_cast<int32_t>(w[i]) & 0x7fffffff);
  return std::bit_cast<float>(largest);
}

/// ranks[i] = how many thresholds lie below v[i].
void count_thresholds(const float* v, int64_t n, const float* thresholds, int count, int32_t* ranks) {
  std::fill_n(ranks, n, 0);
  for (int t = 0; t < count; ++t)
    for (int64_t i = 0; i < n; ++i) ranks[i] += v[i] > thresholds[t] ? 1 : 0;
}

uint8_t code_of_zero(const Codebook& book) {
  const float zero = 0.0f;
  int32_t rank;
  count_thresholds(&zero, 1, book.thresholds.data(), (1 << book.bits) - 1, &rank);
  return book.order[static_cast<size_t>(rank)];
}

class CodebookFormat final : public WeightFormat {
 public:
  explicit CodebookFormat(const Codebook& book) : book_(book), padding_(code_of_zero(book)) {}
  std::string_view name() const override { return book_.name; }
  FrozenWeightPtr encode(Context& cx, const float* w, int64_t rows, int64_t columns, const QuantOptions& o) const override;
  double bits_per_weight(int64_t rows, int64_t columns, const QuantOptions& o) const override {
    return 8.0 * static_cast<double>(bytes(rows, columns, o)) / static_cast<double>(rows * columns);
  }
  uint64_t bytes(int64_t rows, int64_t columns, const QuantOptions& o) const override {
    const BlockLayout l = block_layout(rows, columns, o);
    return code_bytes(l.elements, book_.bits) + BlockScales::bytes_for(l.blocks, o.double_quant);
  }

 private:
  /// Codes one block of `n` values (`whole` when not the short last one) and returns its scale.
  float encode_block(const float* w, int64_t n, bool whole, uint8_t* out) const;

  const Codebook& book_;
  uint8_t padding_;
};

float CodebookFormat::encode_block(const float* w, int64_t n, bool whole, uint8_t* out) const {
  float values[kLargestBlock];
  int32_t ranks[kLargestBlock];
  uint8_t codes[kLargestBlock];
  const float absmax = largest_magnitude(w, n), divisor = std::max(absmax, kSmallestAbsmax);
  const float inverse = 1.0f / divisor;
  if (whole)
    for (int64_t i = 0; i < n; ++i) values[i] = std::clamp(w[i] * inverse, -1.0f, 1.0f);
  else
    for (int64_t i = 0; i < n; ++i) values[i] = std::clamp(w[i] / divisor, -1.0f, 1.0f);
  count_thresholds(values, n, book_.thresholds.data(), (1 << book_.bits) - 1, ranks);
  for (int64_t i = 0; i < n; ++i) codes[i] = book_.order[static_cast<size_t>(ranks[i])];
  pack_codes(codes, n, book_.bits, padding_, out);
  return whole ? absmax : divisor;
}

FrozenWeightPtr CodebookFormat::encode(Context& cx, const float* w, int64_t rows, int64_t columns,
                                       const QuantOptions& o) const {
  const BlockLayout l = block_layout(rows, columns, o);
  refuse_non_finite(cx, name(), w, rows, columns);
  Tensor codes = Tensor::empty({static_cast<int64_t>(code_bytes(l.elements, book_.bits))}, DType::u8);
  Tensor absmax = Tensor::empty({l.blocks});
  cx.pool().for_blocks(l.blocks, kBlocksPerTask, [&](int64_t begin, int64_t end, int) {
    for (int64_t b = begin; b < end; ++b) {
      const int64_t first = b * l.block, n = std::min(l.block, l.elements - first);
      absmax.data<float>()[b] = encode_block(w + first, n, n == l.block, codes.data<uint8_t>() + first * book_.bits / 8);
    }
  });
  BlockScales scales = o.double_quant ? BlockScales::doubly_quantised(absmax) : BlockScales::plain(absmax);
  return std::make_shared<CodedWeight>(std::string(name()), rows, columns, book_.bits, l.block, std::move(codes),
                                       std::move(scales), shared_tables(book_));
}

}  // namespace

const WeightFormat* nf4_format() { static const CodebookFormat f(nf4_codebook()); return &f; }
const WeightFormat* nf3_format() { static const CodebookFormat f(nf3_codebook()); return &f; }
const WeightFormat* nf2_format() { static const CodebookFormat f(nf2_codebook()); return &f; }
const WeightFormat* fp4_format() { static const CodebookFormat f(fp4_codebook()); return &f; }

}  // namespace lorikeet
