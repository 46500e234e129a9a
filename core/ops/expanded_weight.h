/// A frozen weight that also keeps its bf16 panels for the products forward and backward: 4 bytes a weight more, and no
/// decoding in the steps. It pays where few tokens meet each weight; results have the same bits either way.
#pragma once
#include "core/ops/weight_panels.h"

namespace lorikeet {

class ExpandedWeight final : public FrozenWeight {
 public:
  /// `cx` gives threads, scratch and the unit the panels are for, which must be one that multiplies bf16.
  ExpandedWeight(Context& cx, FrozenWeightPtr stored);
  /// Bytes the panels of a weight take beside it.
  static uint64_t panel_bytes(const CpuUnit& unit, int64_t rows, int64_t columns);
  std::string_view format() const override { return stored_->format(); }
  uint64_t bytes() const override { return stored_->bytes() + panels_[0].bytes() + panels_[1].bytes(); }
  void decode_rows(int64_t row, int64_t count, float* out, int64_t out_stride) const override { stored_->decode_rows(row, count, out, out_stride); }
  const float* plain_f32() const override { return stored_->plain_f32(); }
  bool multiply_few(CpuLevel level, int64_t row, int64_t count, const FewRows& f) const override { return stored_->multiply_few(level, row, count, f); }
  bool pack_bf16(const CpuUnit& unit, int64_t row, int64_t count, PanelColumns wanted, const Bf16Panels& to) const override { return stored_->pack_bf16(unit, row, count, wanted, to); }
  const uint32_t* bf16_panels(PanelColumns wanted) const override { return static_cast<const uint32_t*>(panels_[static_cast<size_t>(wanted)].raw()); }

 private:
  FrozenWeightPtr stored_;
  Tensor panels_[2];  // by PanelColumns
};

/// Tokens a micro-batch up to which decoding is over a fifth of the work of linear layers (kernels' measured rates: 10 G
/// weights/s against 235 GFLOP/s of bf16 dot products, 3 TFLOP/s of tiles); 0 for units without panels.
int64_t most_tokens_to_expand(const CpuUnit& unit);

}  // namespace lorikeet
