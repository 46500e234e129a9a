/// Tensor: dtype, shape, row stride, device, shared storage. No lazy graph. Copying a Tensor shares its storage.
/// Layout: the last axis is contiguous; a 2-D view may have a row stride larger than its width.
/// Pointers into a tensor on a device are addresses there, not for the host to read; fill(), to() and to_vector() go by way of the host.
#pragma once
#include <cassert>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/tensor/dtype.h"

namespace lorikeet {

using Shape = std::vector<int64_t>;
std::string to_string(const Shape& shape);
/// Product of the axes (1 for rank 0).
int64_t element_count(const Shape& shape);

class Tensor {
 public:
  Tensor() = default;
  /// Storage from the host arena (host_arena.h) or from a device (device_memory.h), contents undefined (NaN-filled when
  /// LORIKEET_SANITIZED).
  static Tensor empty(Shape shape, DType dtype = DType::f32, DeviceType device = DeviceType::cpu);
  static Tensor zeros(Shape shape, DType dtype = DType::f32, DeviceType device = DeviceType::cpu);
  template <class T> static Tensor from(const std::vector<T>& values, Shape shape);
  /// Wraps memory owned by `owner` (for example a mapped file); the tensor must only be read unless
  /// that memory may be written.
  static Tensor borrow(const void* data, Shape shape, DType dtype, std::shared_ptr<const void> owner, DeviceType device = DeviceType::cpu);

  bool defined() const { return static_cast<bool>(storage_) || data_ != nullptr; }
  DType dtype() const { return dtype_; }
  DeviceType device() const { return device_; }
  const Shape& shape() const { return shape_; }
  int rank() const { return static_cast<int>(shape_.size()); }
  int64_t dim(int axis) const { return shape_[static_cast<size_t>(axis < 0 ? axis + rank() : axis)]; }
  int64_t size() const { return element_count(shape_); }
  /// Rows = product of all axes but the last; width = the last axis.
  int64_t rows() const { return shape_.empty() || dim(-1) == 0 ? (shape_.empty() ? 1 : 0) : size() / dim(-1); }
  int64_t width() const { return shape_.empty() ? 1 : dim(-1); }
  int64_t row_stride() const { return row_stride_; }
  bool contiguous() const { return row_stride_ == width(); }
  size_t bytes() const { return static_cast<size_t>(size()) * dtype_bytes(dtype_); }

  void* raw() { return data_; }
  const void* raw() const { return data_; }
  template <class T> T* data() { assert(dtype_of<T>() == dtype_); return static_cast<T*>(data_); }
  template <class T> const T* data() const { assert(dtype_of<T>() == dtype_); return static_cast<const T*>(data_); }
  template <class T> T* row(int64_t r) { return data<T>() + r * row_stride_; }
  template <class T> const T* row(int64_t r) const { return data<T>() + r * row_stride_; }
  /// 16-bit and raw access without a C++ arithmetic type.
  uint16_t* bits16() { assert(dtype_bytes(dtype_) == 2); return static_cast<uint16_t*>(data_); }
  const uint16_t* bits16() const { assert(dtype_bytes(dtype_) == 2); return static_cast<const uint16_t*>(data_); }

  /// Rows [begin, end) of the first axis, sharing storage.
  Tensor slice(int64_t begin, int64_t end) const;
  /// Columns [begin, end) of a 2-D tensor, sharing storage (row stride kept).
  Tensor columns(int64_t begin, int64_t end) const;
  /// Same elements under another shape; contiguous tensors only.
  Tensor reshaped(Shape shape) const;
  Tensor clone() const;
  void fill(double value);
  /// Between any two devices, row by row where one of the two is not contiguous.
  void copy_from(const Tensor& other);
  /// This tensor if it lies on `device`, else a contiguous copy there.
  Tensor on(DeviceType device) const;
  /// New contiguous tensor of another dtype (any float dtype to any float dtype).
  Tensor to(DType dtype) const;
  template <class T> std::vector<T> to_vector() const;

 private:
  std::shared_ptr<const void> storage_;
  void* data_ = nullptr;
  Shape shape_;
  int64_t row_stride_ = 0;
  DType dtype_ = DType::f32;
  DeviceType device_ = DeviceType::cpu;
};

}  // namespace lorikeet
