/// Checks every op makes once, before dispatch, with messages that give all that was found.
#pragma once
#include <string>

#include "core/base/error.h"
#include "core/ops/device_clip.h"
#include "core/tensor/tensor.h"

namespace lorikeet::ops {

inline void check_float(const char* op, const Tensor& t, const char* name) {
  if (t.dtype() != DType::f32 && t.dtype() != DType::f64)
    throw DTypeError(std::string(op) + ": " + name + " is " + std::string(dtype_name(t.dtype())) + "; wanted f32 or f64");
}
inline void check_half_row(const char* op, const Tensor& t, const char* name) {
  if (t.dtype() == DType::f16 && t.device() == DeviceType::cpu) throw UnsupportedError(std::string(op) + ": " + name + " is f16; rows of f16 are computed on a GPU only");
  if (!is_half_row(t.dtype())) throw DTypeError(std::string(op) + ": " + name + " is " + std::string(dtype_name(t.dtype())) + "; wanted bf16 or f16");
}
/// f32, f64, or rows kept in bf16 or, on a GPU, f16 (the mixed form of an op: trained and frozen vectors stay f32).
inline void check_rows(const char* op, const Tensor& t, const char* name) {
  if (is_half_row(t.dtype())) check_half_row(op, t, name);
  else check_float(op, t, name);
}
/// What goes with rows of `t` where sums are kept: f32 for bf16 and f16.
inline DType sum_type(const Tensor& t) { return lorikeet::sum_type(t.dtype()); }
inline void check_type(const char* op, const Tensor& t, const char* name, DType wanted) {
  if (t.dtype() != wanted)
    throw DTypeError(std::string(op) + ": " + name + " is " + std::string(dtype_name(t.dtype())) + "; wanted " + std::string(dtype_name(wanted)));
}
inline void check_same_type(const char* op, const Tensor& a, const Tensor& b, const char* name) {
  if (a.dtype() != b.dtype())
    throw DTypeError(std::string(op) + ": " + name + " is " + std::string(dtype_name(b.dtype())) + ", the input is " + std::string(dtype_name(a.dtype())));
}
/// Either the type of the rows or, beside 16-bit ones, f32.
inline void check_rows_or_sums(const char* op, const Tensor& rows, const Tensor& t, const char* name) {
  if (t.dtype() != sum_type(rows)) check_same_type(op, rows, t, name);
}
inline void check_shape(const char* op, const Tensor& t, const char* name, const Shape& wanted) {
  if (t.shape() != wanted) throw ShapeError(std::string(op) + ": " + name + " is " + to_string(t.shape()) + "; wanted " + to_string(wanted));
}
inline void check_i32(const char* op, const Tensor& t, const char* name) {
  if (t.dtype() != DType::i32) throw DTypeError(std::string(op) + ": " + name + " is " + std::string(dtype_name(t.dtype())) + "; wanted i32");
}

inline void check_clip(const char* op, const DeviceClip& clip) {
  if (!clip.square_sum) return;
  check_type(op, *clip.square_sum, "the square sum", DType::f64);
  check_shape(op, *clip.square_sum, "the square sum", {1});
}
/// Indices to be checked one by one; null where they lie on a device: whoever sent them there has checked them.
inline const int32_t* indices_to_check(const Tensor& t) { return t.device() == DeviceType::cpu ? t.data<int32_t>() : nullptr; }

}  // namespace lorikeet::ops
