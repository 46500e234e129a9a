/// What the linear layers and the head share: products of tensors, weights decoded panel by panel, and passes over rows.
/// Rows are f32, bf16 or f16, with gaps between them where a tensor has some. All lies on the device.
#pragma once
#include <algorithm>

#include "core/tensor/context.h"
#include "cuda/ops/decode.h"

namespace lorikeet::cuda {

enum class Lies { as_stored, turned };
/// c (+)= alpha a b for matrices; `turned`: the operand lies transposed. a and b of one type. Sums in f32.
void product(const Tensor& a, Lies a_lies, const Tensor& b, Lies b_lies, Tensor& c, float alpha = 1, bool accumulate = false);

/// `x` itself where it has the type, else a copy without gaps.
Tensor as_type(const Tensor& x, DType type);
void convert_rows(const Tensor& x, Tensor& y);
/// y = residual (f32, or null: zeros) + bias (f32 [columns], or null), rounded to the type of y; y may be the residual.
void start_rows(const Tensor* residual, const Tensor* bias, Tensor& y);
/// y = x masked (core/ops/dropout.h), of one type; row t of x is row first + t of the masked matrix. y may be x.
struct Dropout {
  double p;
  uint64_t seed;
  const Tensor* step;  // see AdaptedLinearArgs
};
template <class Args>
Dropout dropout_of(const Args& a) { return {a.dropout, a.dropout_seed, a.dropout_step}; }
void drop_rows(const Tensor& x, Tensor& y, int64_t first, const Dropout& d);
/// y += x masked, y f32.
void add_dropped_rows(const Tensor& x, Tensor& y, int64_t first, const Dropout& d);

/// Most bytes of a decoded weight at a time, and of masked rows a quarter of it. 0 sets the default; for tests.
int64_t work_bytes();
void set_work_bytes(int64_t bytes);

/// How many rows as wide as those of x are masked at a time.
int64_t masked_rows(const Tensor& x);

/// How many rows of `w` are decoded at a time: all where they fit.
int64_t panel_rows(const DeviceWeight& w, DType type);
/// f(first row, the rows [count, columns] decoded to `room`, or as they lie where they have the type): in order, each valid
/// until the next. `room` [rows at a time, columns] has no gaps.
template <class F>
void each_panel(const DeviceWeight& w, DType type, const Tensor& room, const F& f) {
  if (const void* plain = w.plain(type)) {
    if (w.rows() > 0) f(int64_t{0}, Tensor::borrow(plain, {w.rows(), w.columns()}, type, nullptr, DeviceType::cuda));
    return;
  }
  for (int64_t row = 0; row < w.rows(); row += room.dim(0)) {
    Tensor panel = room.slice(0, std::min(room.dim(0), w.rows() - row));
    decode_weight(w, row, panel.dim(0), type, panel.raw(), w.columns());
    f(row, panel);
  }
}
/// The same with room in scratch that is kept between calls: for weights of layers, one after the other.
constexpr int kPanelSlot = 0;
template <class F>
void each_panel(Context& cx, const DeviceWeight& w, DType type, const F& f) {
  const int64_t rows = w.plain(type) ? 0 : panel_rows(w, type);
  void* room = rows == 0 ? nullptr : cx.shared_scratch(kPanelSlot, static_cast<size_t>(rows * w.columns()) * dtype_bytes(type));
  each_panel(w, type, Tensor::borrow(room, {rows, w.columns()}, type, nullptr, DeviceType::cuda), f);
}

}  // namespace lorikeet::cuda
