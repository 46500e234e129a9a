/// 16-bit numbers in kernels and conversions between the types of tensors. Rounding is to nearest even everywhere, NaN
/// stays NaN: the same bits as core/tensor/dtype.h.
#pragma once
#include <cstdint>
#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#else
#include "core/tensor/dtype.h"
#include "cuda/emulation/kernel_shim.h"
#endif

namespace lorikeet::cuda {

struct Bf16 {
  uint16_t bits;
};
struct Half {
  uint16_t bits;
};

__device__ inline float f32(float v) { return v; }
__device__ inline float f32(Bf16 v) { return __uint_as_float(static_cast<unsigned>(v.bits) << 16); }
__device__ inline double f64(double v) { return v; }

__device__ inline Bf16 bf16(float v) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  return {__bfloat16_as_ushort(__float2bfloat16_rn(v))};
#else
  const unsigned bits = __float_as_uint(v);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>(bits >> 16 | 0x40u)};
  return {static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
#endif
}
/// Two numbers in one word, the first in its lower half.
__device__ inline uint32_t bf16_pair(float low, float high) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));  // one instruction
  return pair;
#else
  return static_cast<uint32_t>(bf16(low).bits) | static_cast<uint32_t>(bf16(high).bits) << 16;
#endif
}
__device__ inline float low_f32(uint32_t pair) { return __uint_as_float(pair << 16); }
__device__ inline float high_f32(uint32_t pair) { return __uint_as_float(pair & 0xffff0000u); }

// What is too large for f16 becomes infinite.
__device__ inline float f32(Half v) {
#if defined(__CUDACC__)
  return __half2float(__ushort_as_half(v.bits));
#else
  return f32_from_f16(v.bits);
#endif
}
__device__ inline Half f16(float v) {
#if defined(__CUDACC__)
  return {__half_as_ushort(__float2half_rn(v))};
#else
  return {f16_from_f32(v)};
#endif
}
__device__ inline uint32_t f16_pair(float low, float high) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  uint32_t pair;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
#else
  return static_cast<uint32_t>(f16(low).bits) | static_cast<uint32_t>(f16(high).bits) << 16;
#endif
}

/// The types of rows that stand beside f32 sums.
template <class T> constexpr bool kIsHalfRow = false;
template <> inline constexpr bool kIsHalfRow<Bf16> = true;
template <> inline constexpr bool kIsHalfRow<Half> = true;
/// Two rounded numbers in one word, the first in its lower half.
template <class T> __device__ inline uint32_t pair_of(float low, float high);
template <> __device__ inline uint32_t pair_of<Bf16>(float low, float high) { return bf16_pair(low, high); }
template <> __device__ inline uint32_t pair_of<Half>(float low, float high) { return f16_pair(low, high); }

/// A sum's type: f32, and f64 for f64.
template <class T> struct SumOf { using type = float; };
template <> struct SumOf<double> { using type = double; };
template <class T> using Sum = typename SumOf<T>::type;

__device__ inline float widened(float v) { return v; }
__device__ inline float widened(Bf16 v) { return f32(v); }
__device__ inline float widened(Half v) { return f32(v); }
__device__ inline double widened(double v) { return v; }
template <class T> __device__ inline T rounded(Sum<T> v) { return v; }
template <> __device__ inline Bf16 rounded<Bf16>(float v) { return bf16(v); }
template <> __device__ inline Half rounded<Half>(float v) { return f16(v); }

}  // namespace lorikeet::cuda
