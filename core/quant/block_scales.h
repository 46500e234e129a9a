/// The scales of a block-quantised matrix: one per block of elements, kept as f32 or doubly quantised to 8 bits
/// (QLoRA, arXiv:2305.14314 section 3): offset = mean of the scales; scale - offset in groups of 256, each with its
/// own f32 maximum, coded by the signed dynamic map.
#pragma once
#include <cstdint>
#include <memory>

#include "core/quant/codebooks.h"
#include "core/tensor/tensor.h"

namespace lorikeet {

constexpr int64_t kScalesPerGroup = 256;

class BlockScales {
 public:
  /// Keeps `absmax` (f32 [blocks]) as it is.
  static BlockScales plain(Tensor absmax);
  /// Codes `absmax` in 8 bits. Bit-equal to bitsandbytes 0.50 on a CPU with one torch thread (with any number of
  /// threads up to 32768 blocks; beyond that its mean depends on how many there are): the mean is summed in torch's order and the
  /// normalised value is first rounded to a grid of 65536 points, then takes the nearest entry (a tie the lower one).
  static BlockScales doubly_quantised(const Tensor& absmax);
  /// From stored parts: u8 [blocks], f32 [ceil(blocks / group)].
  static BlockScales from_parts(Tensor codes, Tensor group_maxima, float offset, int64_t group);

  bool nested() const { return codes_.defined(); }
  int64_t count() const { return nested() ? codes_.size() : absmax_.size(); }
  uint64_t bytes() const;
  static uint64_t bytes_for(int64_t blocks, bool nested);

  /// Scales of blocks [first, first + count): a pointer into the f32 scales, or into `buffer` after decoding there
  /// (map[code] * group maximum, then + offset, each rounded).
  const float* decode(int64_t first, int64_t count, const CodeTables& tables, float* buffer) const;

  const Tensor& absmax() const { return absmax_; }
  const Tensor& codes() const { return codes_; }
  const Tensor& group_maxima() const { return group_maxima_; }
  float offset() const { return offset_; }
  int64_t group() const { return group_; }

 private:
  Tensor absmax_;                // f32 [blocks], plain only
  Tensor codes_, group_maxima_;  // u8 [blocks], f32 [groups], nested only
  float offset_ = 0;
  int64_t group_ = kScalesPerGroup;
};

/// Sum of n floats in the order torch sums a contiguous f32 tensor on one thread: eight interleaved lanes, four
/// accumulators each, folded in a cascade so that long sums lose little.
float sum_in_torch_order(const float* x, int64_t n);

}  // namespace lorikeet
