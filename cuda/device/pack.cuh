/// Neighbouring elements moved by one load or store, and the loop of kernels that go over rows in such packs: grid.x shares
/// out the columns, grid.y the rows. Without gaps between rows all elements are one row.
#pragma once
#include <initializer_list>
#include <type_traits>

#include "cuda/device/kernel.cuh"

namespace lorikeet::cuda {

constexpr int kPackBytes = 16;
template <class T> constexpr int kPackCount = kPackBytes / static_cast<int>(sizeof(T));

/// N is a power of two; addresses are multiples of N elements.
template <class T, int N>
struct alignas(N * sizeof(T)) Pack {
  T at[N];
};
// Words are taken apart and put together by hand, and stored by __stwb, a plain store: nvcc splits the others.
template <class T>
__device__ inline uint32_t bits_pair(T low, T high) { return static_cast<uint32_t>(low.bits) | static_cast<uint32_t>(high.bits) << 16; }
template <class T>
__device__ inline void take_pair(uint32_t word, T* at) {
  at[0].bits = static_cast<uint16_t>(word);
  at[1].bits = static_cast<uint16_t>(word >> 16);
}
template <int N, class T>
__device__ inline Pack<T, N> load_pack(const T* p) {
  Pack<T, N> v;
  if constexpr (std::is_same_v<T, float> && N == 4) {
    const float4 w = *reinterpret_cast<const float4*>(p);
    v.at[0] = w.x, v.at[1] = w.y, v.at[2] = w.z, v.at[3] = w.w;
  } else if constexpr (kIsHalfRow<T> && N == 8) {
    const uint4 w = *reinterpret_cast<const uint4*>(p);
    take_pair(w.x, v.at), take_pair(w.y, v.at + 2), take_pair(w.z, v.at + 4), take_pair(w.w, v.at + 6);
  } else if constexpr (kIsHalfRow<T> && N == 4) {
    const uint2 w = *reinterpret_cast<const uint2*>(p);
    take_pair(w.x, v.at), take_pair(w.y, v.at + 2);
  } else {
    for (int i = 0; i < N; ++i) v.at[i] = p[i];
  }
  return v;
}
template <class T, int N>
__device__ inline void store_pack(T* p, const Pack<T, N>& v) {
  if constexpr (std::is_same_v<T, float> && N == 4) {
    __stwb(reinterpret_cast<float4*>(p), make_float4(v.at[0], v.at[1], v.at[2], v.at[3]));
  } else if constexpr (kIsHalfRow<T> && N == 8) {
    __stwb(reinterpret_cast<uint4*>(p), make_uint4(bits_pair(v.at[0], v.at[1]), bits_pair(v.at[2], v.at[3]), bits_pair(v.at[4], v.at[5]), bits_pair(v.at[6], v.at[7])));
  } else if constexpr (kIsHalfRow<T> && N == 4) {
    __stwb(reinterpret_cast<uint2*>(p), make_uint2(bits_pair(v.at[0], v.at[1]), bits_pair(v.at[2], v.at[3])));
  } else {
    for (int i = 0; i < N; ++i) p[i] = v.at[i];
  }
}

template <int N>
struct Count {
  static constexpr int value = N;
};
/// body(row, column, Count) for N columns at a time, and one by one where a row ends.
template <int N, class F>
__device__ inline void each_pack(int64_t rows, int64_t width, const F& body) {
  const int64_t first = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * N, step = int64_t{gridDim.x} * blockDim.x * N;
  for (int64_t row = blockIdx.y; row < rows; row += gridDim.y)
    for (int64_t c = first; c < width; c += step) {
      if (N == 1 || c + N <= width) {
        body(row, c, Count<N>{});
      } else {
        for (int64_t last = c; last < width; ++last) body(row, last, Count<1>{});
      }
    }
}

/// Rows in memory, as a launcher sees them.
struct RowPlace {
  const void* data;
  int64_t stride;  // elements between rows
  size_t element_bytes;
};
/// Rows and threads of each_pack().
struct RowPlan {
  int64_t rows, width;
  bool packed;  // every row of every operand may be moved in packs of `count`
  Grid grid;
  int threads;
  RowPlan(int64_t all_rows, int64_t row_width, int count, std::initializer_list<RowPlace> operands) : rows(all_rows), width(row_width), packed(count > 1) {
    bool gaps = false;
    for (const RowPlace& p : operands) gaps = gaps || p.stride != width;
    if (!gaps) {
      width *= rows;
      rows = 1;
    }
    for (const RowPlace& p : operands) {
      const size_t bytes = static_cast<size_t>(count) * p.element_bytes;
      packed = packed && reinterpret_cast<uintptr_t>(p.data) % bytes == 0 && (rows == 1 || static_cast<size_t>(p.stride) % static_cast<size_t>(count) == 0);
    }
    const int64_t items = packed ? (width + count - 1) / count : width;
    threads = static_cast<int>(std::clamp<int64_t>((items + kWarpThreads - 1) / kWarpThreads * kWarpThreads, kWarpThreads, 256));
    grid = {blocks_for(items, threads), std::min<int64_t>(rows, 65535)};
  }
};

}  // namespace lorikeet::cuda
