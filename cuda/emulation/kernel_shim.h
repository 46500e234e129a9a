/// CUDA's words for a kernel that is compiled as C++ and run by block.h. Only what our kernels use; their shared memory is
/// SharedMemory (device/shared.cuh), never __shared__.
#pragma once
#include <math.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "cuda/emulation/block.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__
#define __launch_bounds__(...)

#define threadIdx (::lorikeet::cuda::emulation::thread_index())
#define blockIdx (::lorikeet::cuda::emulation::block_index())
#define blockDim (::lorikeet::cuda::emulation::block_size())
#define gridDim (::lorikeet::cuda::emulation::grid_size())

struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) uint2 { uint32_t x, y; };
struct alignas(16) uint4 { uint32_t x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint2 make_uint2(uint32_t x, uint32_t y) { return {x, y}; }
inline uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w) { return {x, y, z, w}; }

inline void __syncthreads(std::source_location place = std::source_location::current()) { lorikeet::cuda::emulation::barrier(place); }
inline void __syncwarp(unsigned mask = 0xffffffffu, std::source_location place = std::source_location::current()) {
  lorikeet::cuda::emulation::warp_barrier(mask, place);
}

namespace lorikeet::cuda::emulation {

template <class T>
T of_lane(const char* slots, unsigned lane) {
  T v;
  std::memcpy(&v, slots + lane * kExchangeBytes, sizeof(T));
  return v;
}
inline unsigned lane() { return thread_rank() % 32; }

/// What a lane gets that reads lane `from` of those in its `mask`; a lane outside of it is not for reading.
template <class T>
T shuffled(unsigned mask, T v, unsigned from, const char* operation, std::source_location place) {
  const char* slots = exchange(mask, &v, sizeof v, operation, place);
  if ((mask >> from & 1u) == 0) fail(std::string(operation) + " reads a lane that its mask does not name");
  return of_lane<T>(slots, from);
}

}  // namespace lorikeet::cuda::emulation

template <class T>
T __shfl_sync(unsigned mask, T v, int from, int width = 32, std::source_location place = std::source_location::current()) {
  const unsigned lane = lorikeet::cuda::emulation::lane(), w = static_cast<unsigned>(width);
  return lorikeet::cuda::emulation::shuffled(mask, v, lane / w * w + static_cast<unsigned>(from) % w, "shfl", place);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32, std::source_location place = std::source_location::current()) {
  const unsigned lane = lorikeet::cuda::emulation::lane(), w = static_cast<unsigned>(width), from = lane ^ static_cast<unsigned>(bits);
  return lorikeet::cuda::emulation::shuffled(mask, v, from / w == lane / w ? from : lane, "shfl_xor", place);
}
template <class T>
T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32, std::source_location place = std::source_location::current()) {
  const unsigned lane = lorikeet::cuda::emulation::lane(), w = static_cast<unsigned>(width);
  return lorikeet::cuda::emulation::shuffled(mask, v, lane % w + by < w ? lane + by : lane, "shfl_down", place);
}
template <class T>
T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32, std::source_location place = std::source_location::current()) {
  const unsigned lane = lorikeet::cuda::emulation::lane(), w = static_cast<unsigned>(width);
  return lorikeet::cuda::emulation::shuffled(mask, v, lane % w >= by ? lane - by : lane, "shfl_up", place);
}
inline unsigned __ballot_sync(unsigned mask, int vote, std::source_location place = std::source_location::current()) {
  const char* slots = lorikeet::cuda::emulation::exchange(mask, &vote, sizeof vote, "ballot", place);
  unsigned out = 0;
  for (unsigned l = 0; l < 32; ++l)
    if ((mask >> l & 1u) != 0 && lorikeet::cuda::emulation::of_lane<int>(slots, l) != 0) out |= 1u << l;
  return out;
}
inline int __any_sync(unsigned mask, int vote, std::source_location place = std::source_location::current()) { return __ballot_sync(mask, vote, place) != 0; }
inline int __all_sync(unsigned mask, int vote, std::source_location place = std::source_location::current()) { return __ballot_sync(mask, vote, place) == mask; }

template <class T>
T atomicAdd(T* at, T v) {
  const T before = *at;
  *at += v;
  return before;
}
inline int atomicMax(int* at, int v) {
  const int before = *at;
  *at = before > v ? before : v;
  return before;
}

template <class T>
T __ldg(const T* p) { return *p; }
template <class T>
void __stwb(T* p, T v) { *p = v; }
inline unsigned __float_as_uint(float v) { return std::bit_cast<unsigned>(v); }
inline float __uint_as_float(unsigned v) { return std::bit_cast<float>(v); }
inline int __popc(unsigned v) { return std::popcount(v); }
inline float rsqrtf(float v) { return 1.0f / std::sqrt(v); }
inline float __expf(float v) { return std::exp(v); }
inline float __logf(float v) { return std::log(v); }
inline float __fdividef(float a, float b) { return a / b; }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>((uint64_t{a} * b) >> 32); }
// Rounded as written, whatever the compiler may join.
inline float __fmul_rn(float a, float b) { volatile float p = a * b; return p; }
inline float __fadd_rn(float a, float b) { volatile float s = a + b; return s; }
inline float __fdiv_rn(float a, float b) { volatile float q = a / b; return q; }
inline float __fsqrt_rn(float a) { return std::sqrt(a); }
inline double __dmul_rn(double a, double b) { volatile double p = a * b; return p; }
inline double __dadd_rn(double a, double b) { volatile double s = a + b; return s; }
template <class T> T min(T a, T b) { return b < a ? b : a; }
template <class T> T max(T a, T b) { return a < b ? b : a; }
