/// The smallest FrozenWeight: f32 values as they are. `decodes` hides plain_f32(), so that an op must go through its
/// panels as it does for a quantised weight.
#pragma once
#include <cstring>
#include <utility>

#include "core/ops/frozen_weight.h"
#include "core/tensor/tensor.h"

namespace lorikeet::test {

class PlainWeight final : public FrozenWeight {
 public:
  explicit PlainWeight(Tensor values, bool decodes = false)
      : FrozenWeight(values.dim(0), values.dim(1)), values_(std::move(values)), decodes_(decodes) {}
  std::string_view format() const override { return "f32"; }
  uint64_t bytes() const override { return values_.bytes(); }
  void decode_rows(int64_t row, int64_t count, float* out, int64_t out_stride) const override {
    for (int64_t r = 0; r < count; ++r)
      std::memcpy(out + r * out_stride, values_.row<float>(row + r), static_cast<size_t>(columns()) * sizeof(float));
  }
  StoredForm stored_form() const override { return {0, values_.raw(), values_.bytes()}; }
  const float* plain_f32() const override { return decodes_ ? nullptr : values_.data<float>(); }
  const Tensor& values() const { return values_; }

 private:
  Tensor values_;
  bool decodes_;
};

}  // namespace lorikeet::test
