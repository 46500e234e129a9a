#include "core/tensor/tensor.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/tensor/device_memory.h"
#include "core/tensor/host_arena.h"

namespace lorikeet {
namespace {

double read(const Tensor& t, int64_t row, int64_t column) {
  const auto at = static_cast<size_t>(row * t.row_stride() + column);
  const auto* p = static_cast<const char*>(t.raw()) + at * dtype_bytes(t.dtype());
  switch (t.dtype()) {
    case DType::f32: { float v; std::memcpy(&v, p, 4); return v; }
    case DType::f64: { double v; std::memcpy(&v, p, 8); return v; }
    case DType::f16: { uint16_t v; std::memcpy(&v, p, 2); return f32_from_f16(v); }
    case DType::bf16: { uint16_t v; std::memcpy(&v, p, 2); return f32_from_bf16(v); }
    case DType::i64: { int64_t v; std::memcpy(&v, p, 8); return static_cast<double>(v); }
    case DType::i32: { int32_t v; std::memcpy(&v, p, 4); return v; }
    case DType::i8: return *reinterpret_cast<const int8_t*>(p);
    case DType::u8: return *reinterpret_cast<const uint8_t*>(p);
  }
  return 0;
}

void store(void* base, DType dtype, int64_t index, double v) {
  switch (dtype) {
    case DType::f32: static_cast<float*>(base)[index] = static_cast<float>(v); return;
    case DType::f64: static_cast<double*>(base)[index] = v; return;
    case DType::f16: static_cast<uint16_t*>(base)[index] = f16_from_f32(static_cast<float>(v)); return;
    case DType::bf16: static_cast<uint16_t*>(base)[index] = bf16_from_f32(static_cast<float>(v)); return;
    case DType::i64: static_cast<int64_t*>(base)[index] = static_cast<int64_t>(v); return;
    case DType::i32: static_cast<int32_t*>(base)[index] = static_cast<int32_t>(v); return;
    case DType::i8: static_cast<int8_t*>(base)[index] = static_cast<int8_t>(v); return;
    case DType::u8: static_cast<uint8_t*>(base)[index] = static_cast<uint8_t>(v); return;
  }
}

void copy_bytes(DeviceType to_device, void* to, DeviceType from_device, const void* from, size_t bytes) {
  if (bytes == 0) return;
  if (to_device == from_device && to_device == DeviceType::cpu) std::memcpy(to, from, bytes);
  else if (to_device == from_device) device_memory(to_device).copy(to, from, bytes);
  else if (from_device == DeviceType::cpu) device_memory(to_device).from_host(to, from, bytes);
  else device_memory(from_device).to_host(to, from, bytes);
}

}  // namespace

std::string to_string(const Shape& shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + "]";
}

int64_t element_count(const Shape& shape) {
  int64_t n = 1;
  for (const int64_t d : shape) n *= d;
  return n;
}

Tensor Tensor::empty(Shape shape, DType dtype, DeviceType device) {
  Tensor t;
  auto bytes = std::optional<uint64_t>(dtype_bytes(dtype));
  for (const int64_t d : shape) {
    if (d < 0) throw ShapeError("tensor: negative axis in " + to_string(shape));
    if (bytes) bytes = checked_mul(*bytes, static_cast<uint64_t>(d));
  }
  if (!bytes || *bytes > INT64_MAX) throw ShapeError("tensor: too large to address: " + to_string(shape));
  t.shape_ = std::move(shape);
  t.dtype_ = dtype;
  t.row_stride_ = t.width();
  t.device_ = device;
  const size_t wanted = std::max<size_t>(1, t.bytes());
  auto memory = device == DeviceType::cpu ? arena_allocate(wanted) : device_memory(device).allocate(wanted);
  t.data_ = memory.get();
  t.storage_ = std::move(memory);
  return t;
}

Tensor Tensor::zeros(Shape shape, DType dtype, DeviceType device) {
  Tensor t = empty(std::move(shape), dtype, device);
  if (device == DeviceType::cpu) std::memset(t.data_, 0, t.bytes());
  else device_memory(device).zero(t.data_, t.bytes());
  return t;
}

template <class T>
Tensor Tensor::from(const std::vector<T>& values, Shape shape) {
  Tensor t = empty(std::move(shape), dtype_of<T>());
  if (t.size() != static_cast<int64_t>(values.size()))
    throw ShapeError(fmt::format("tensor: {} values for shape {}", values.size(), to_string(t.shape_)));
  if (!values.empty()) std::memcpy(t.data_, values.data(), t.bytes());
  return t;
}

Tensor Tensor::borrow(const void* data, Shape shape, DType dtype, std::shared_ptr<const void> owner, DeviceType device) {
  Tensor t;
  t.device_ = device;
  t.shape_ = std::move(shape);
  t.dtype_ = dtype;
  t.row_stride_ = t.width();
  t.data_ = const_cast<void*>(data);
  t.storage_ = std::move(owner);
  return t;
}

Tensor Tensor::slice(int64_t begin, int64_t end) const {
  if (rank() < 1 || begin < 0 || end < begin || end > dim(0))
    throw ShapeError(fmt::format("slice: rows {} to {} of {}", begin, end, to_string(shape_)));
  Tensor t = *this;
  t.shape_[0] = end - begin;
  const int64_t stride = rank() == 1 ? 1 : row_stride_ * (dim(0) > 0 ? rows() / dim(0) : 0);
  if (rank() == 1) t.row_stride_ = t.width();
  t.data_ = static_cast<char*>(data_) + static_cast<size_t>(begin * stride) * dtype_bytes(dtype_);
  return t;
}

Tensor Tensor::columns(int64_t begin, int64_t end) const {
  if (rank() != 2 || begin < 0 || end < begin || end > dim(1))
    throw ShapeError(fmt::format("columns: {} to {} of {}", begin, end, to_string(shape_)));
  Tensor t = *this;
  t.shape_[1] = end - begin;
  t.data_ = static_cast<char*>(data_) + static_cast<size_t>(begin) * dtype_bytes(dtype_);
  return t;
}

Tensor Tensor::reshaped(Shape shape) const {
  if (!contiguous() || element_count(shape) != size())
    throw ShapeError("reshape: " + to_string(shape_) + (contiguous() ? "" : " (strided)") + " to " + to_string(shape));
  Tensor t = *this;
  t.shape_ = std::move(shape);
  t.row_stride_ = t.width();
  return t;
}

void Tensor::copy_from(const Tensor& other) {
  if (other.shape_ != shape_) throw ShapeError("copy: " + to_string(other.shape_) + " into " + to_string(shape_));
  if (other.dtype_ != dtype_) throw DTypeError(fmt::format("copy: {} into {}", dtype_name(other.dtype_), dtype_name(dtype_)));
  const size_t row_bytes = static_cast<size_t>(width()) * dtype_bytes(dtype_);
  if (contiguous() && other.contiguous()) return copy_bytes(device_, data_, other.device_, other.data_, bytes());
  for (int64_t r = 0; r < rows(); ++r)
    copy_bytes(device_, static_cast<char*>(data_) + static_cast<size_t>(r * row_stride_) * dtype_bytes(dtype_), other.device_,
               static_cast<const char*>(other.data_) + static_cast<size_t>(r * other.row_stride_) * dtype_bytes(dtype_), row_bytes);
}

Tensor Tensor::on(DeviceType device) const {
  if (device == device_) return *this;
  Tensor t = empty(shape_, dtype_, device);
  t.copy_from(*this);
  return t;
}

Tensor Tensor::clone() const {
  Tensor t = empty(shape_, dtype_, device_);
  t.copy_from(*this);
  return t;
}

void Tensor::fill(double value) {
  if (device_ != DeviceType::cpu) {
    Tensor host = empty(shape_, dtype_);
    host.fill(value);
    return copy_from(host);
  }
  for (int64_t r = 0; r < rows(); ++r)
    for (int64_t c = 0; c < width(); ++c) store(data_, dtype_, r * row_stride_ + c, value);
}

Tensor Tensor::to(DType dtype) const {
  if (device_ != DeviceType::cpu) return on(DeviceType::cpu).to(dtype).on(device_);
  Tensor t = empty(shape_, dtype);
  for (int64_t r = 0; r < rows(); ++r)
    for (int64_t c = 0; c < width(); ++c) store(t.data_, dtype, r * t.row_stride_ + c, read(*this, r, c));
  return t;
}

template <class T>
std::vector<T> Tensor::to_vector() const {
  if (device_ != DeviceType::cpu) return on(DeviceType::cpu).to_vector<T>();
  std::vector<T> out;
  out.reserve(static_cast<size_t>(size()));
  for (int64_t r = 0; r < rows(); ++r)
    for (int64_t c = 0; c < width(); ++c) out.push_back(static_cast<T>(read(*this, r, c)));
  return out;
}

template Tensor Tensor::from<float>(const std::vector<float>&, Shape);
template Tensor Tensor::from<double>(const std::vector<double>&, Shape);
template Tensor Tensor::from<int32_t>(const std::vector<int32_t>&, Shape);
template Tensor Tensor::from<int64_t>(const std::vector<int64_t>&, Shape);
template Tensor Tensor::from<uint8_t>(const std::vector<uint8_t>&, Shape);
template Tensor Tensor::from<int8_t>(const std::vector<int8_t>&, Shape);
template std::vector<float> Tensor::to_vector<float>() const;
template std::vector<double> Tensor::to_vector<double>() const;
template std::vector<int32_t> Tensor::to_vector<int32_t>() const;
template std::vector<int64_t> Tensor::to_vector<int64_t>() const;
template std::vector<uint8_t> Tensor::to_vector<uint8_t>() const;
template std::vector<int8_t> Tensor::to_vector<int8_t>() const;

}  // namespace lorikeet
