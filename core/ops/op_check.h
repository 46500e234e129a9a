/// Checks every op makes once, before dispatch: type, shape and device of each tensor, in one style of message.
#pragma once
#include <string>

#include "core/base/error.h"
#include "core/tensor/context.h"

namespace lorikeet {

class OpCheck {
 public:
  /// `type` is the element type the whole op computes in; only f32 and f64 exist.
  OpCheck(const char* op, const Context& cx, DType type) : op_(op), device_(cx.device()), type_(type) {
    if (type != DType::f32 && type != DType::f64)
      throw DTypeError(std::string(op) + ": computes in f32 or f64, found " + std::string(dtype_name(type)));
  }
  /// A tensor of the op's own type.
  void tensor(const char* name, const Tensor& t, const Shape& wanted) const { tensor(name, t, wanted, type_); }
  void tensor(const char* name, const Tensor& t, const Shape& wanted, DType type) const {
    if (!t.defined() || t.shape() != wanted)
      throw ShapeError(std::string(op_) + ": " + name + " is " + to_string(t.shape()) + ", wanted " + to_string(wanted));
    if (t.dtype() != type)
      throw DTypeError(std::string(op_) + ": " + name + " is " + std::string(dtype_name(t.dtype())) + ", wanted " +
                       std::string(dtype_name(type)));
    if (t.device() != device_)
      throw UnsupportedError(std::string(op_) + ": " + name + " lies on " + std::string(device_name(t.device())) +
                             ", the op runs on " + std::string(device_name(device_)));
  }
  /// A tensor with `rank` axes, whose sizes the caller reads next.
  void rank(const char* name, const Tensor& t, int rank) const {
    if (!t.defined() || t.rank() != rank)
      throw ShapeError(std::string(op_) + ": " + name + " is " + to_string(t.shape()) + ", wanted " +
                       std::to_string(rank) + (rank == 1 ? " axis" : " axes"));
  }
  void that(bool holds, const std::string& message) const {
    if (!holds) throw ShapeError(std::string(op_) + ": " + message);
  }
  /// Every entry of an i32 vector in [0, limit).
  void indices(const char* name, const Tensor& t, int64_t limit) const {
    if (t.device() != DeviceType::cpu) return;  // checked by the side that filled it
    const int32_t* v = t.data<int32_t>();
    for (int64_t i = 0; i < t.size(); ++i)
      that(v[i] >= 0 && v[i] < limit, std::string(name) + "[" + std::to_string(i) + "] is " + std::to_string(v[i]) +
                                          ", wanted 0 .. " + std::to_string(limit - 1));
  }

 private:
  const char* op_;
  DeviceType device_;
  DType type_;
};

}  // namespace lorikeet
