/// Rows of the output head as the loss reads them: less a row they have in common.
///
/// The loss and its gradient do not change when one vector is taken from every row of the head: all logits of a token
/// shift alike, and the gradient's weights, softmax minus one at the target, sum to zero. Token embeddings share a large
/// component, and without it there is less to cancel: on SmolLM2-135M adapter gradients in f32 came out twice as close to
/// those in f64, and in bf16 the rounding of the weights no longer multiplies that component.
#pragma once
#include <cstdint>
#include <type_traits>
#include <vector>

#include "core/ops/panels.h"

namespace lorikeet::ops {

class HeadRows {
 public:
  /// `compute`: the type the rows are used in. Rows of bf16 that are to be used as such are left alone: they would have
  /// to be rounded.
  HeadRows(const FrozenWeight& head, ComputeType compute);
  /// Rows [row, row + count), row-major without gaps.
  void decode(int64_t row, int64_t count, float* out) const;
  /// The same in scratch of the thread (slots 0 and 1). f64, the reference, keeps the rows as they are.
  template <class T>
  const T* panel(Context& cx, int thread, int64_t row, int64_t count) const {
    if constexpr (std::is_same_v<T, float>) {
      auto* rows = static_cast<float*>(cx.scratch(thread, 0, static_cast<size_t>(count * head_.columns()) * sizeof(float)));
      decode(row, count, rows);
      return rows;
    } else {
      return decoded_rows<T>(cx, thread, head_, row, count);
    }
  }

 private:
  const FrozenWeight& head_;
  std::vector<float> common_;  // the mean of some rows spread over the vocabulary
};

}  // namespace lorikeet::ops
