/// Decoding ranges of a frozen weight into compute panels of the op's type.
#pragma once
#include <algorithm>
#include <type_traits>

#include "core/ops/frozen_weight.h"
#include "core/tensor/context.h"

namespace lorikeet::ops {

/// Rows a panel: small enough for its decoded form to stay in the L2 cache, the same on every machine.
inline int64_t panel_rows(int64_t columns) {
  constexpr int64_t kPanelBytes = 1 << 20, kMost = 96, kLeast = 16;
  return std::clamp(kPanelBytes / (4 * std::max<int64_t>(1, columns)) / 16 * 16, kLeast, kMost);
}

/// Rows [row, row + count) as T, row-major without gaps: the weight itself where it is plain f32, else decoded into
/// scratch of the thread (slots 0 and 1). Valid until the thread's next panel.
template <class T>
const T* decoded_rows(Context& cx, int thread, const FrozenWeight& w, int64_t row, int64_t count) {
  const int64_t columns = w.columns();
  if constexpr (std::is_same_v<T, float>)
    if (const float* plain = w.plain_f32()) return plain + row * columns;
  auto* f32 = static_cast<float*>(cx.scratch(thread, 0, static_cast<size_t>(count * columns) * sizeof(float)));
  w.decode_rows(row, count, f32, columns);
  if constexpr (std::is_same_v<T, float>) return f32;
  auto* wide = static_cast<T*>(cx.scratch(thread, 1, static_cast<size_t>(count * columns) * sizeof(T)));
  for (int64_t i = 0; i < count * columns; ++i) wide[i] = static_cast<T>(f32[i]);
  return wide;
}

/// Calls f(T{}) with the C++ type of a float dtype.
template <class F>
void by_type(DType t, const F& f) {
  if (t == DType::f64) f(double{});
  else f(float{});
}

}  // namespace lorikeet::ops
