/// Element types of tensors and the devices they live on.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace lorikeet {

enum class DType : uint8_t { f32, f64, f16, bf16, i64, i32, i8, u8 };
constexpr size_t dtype_bytes(DType t) {
  switch (t) {
    case DType::f64: case DType::i64: return 8;
    case DType::f32: case DType::i32: return 4;
    case DType::f16: case DType::bf16: return 2;
    default: return 1;
  }
}
/// Types of rows that stand beside f32 sums.
constexpr bool is_half_row(DType t) { return t == DType::bf16 || t == DType::f16; }
/// What goes with rows of type `t` where sums are kept.
constexpr DType sum_type(DType t) { return is_half_row(t) ? DType::f32 : t; }
std::string_view dtype_name(DType t);
std::optional<DType> dtype_from_name(std::string_view name);

enum class DeviceType : uint8_t { cpu, cuda };
constexpr int kDeviceTypes = 2;
std::string_view device_name(DeviceType d);

/// C++ type of a dtype that arithmetic is done in on the CPU.
template <class T> constexpr DType dtype_of();
template <> constexpr DType dtype_of<float>() { return DType::f32; }
template <> constexpr DType dtype_of<double>() { return DType::f64; }
template <> constexpr DType dtype_of<int32_t>() { return DType::i32; }
template <> constexpr DType dtype_of<int64_t>() { return DType::i64; }
template <> constexpr DType dtype_of<uint8_t>() { return DType::u8; }
template <> constexpr DType dtype_of<int8_t>() { return DType::i8; }

/// Bit-exact conversions of 16-bit floats; to 16 bits rounds to nearest even, NaN stays NaN.
float f32_from_bf16(uint16_t bits);
uint16_t bf16_from_f32(float v);
float f32_from_f16(uint16_t bits);
uint16_t f16_from_f32(float v);

}  // namespace lorikeet
