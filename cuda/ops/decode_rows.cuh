/// The kernel that all decoders of weights share. A source says how a unit of 8 elements is read:
///
///   struct Source {                                    // passed by value
///     struct Reader {
///       Codes load(int64_t unit) const;                // bytes of unit `unit` of the flattened matrix
///       void decode(Codes, int64_t unit, float* w) const;
///     };
///     Reader open(SharedMemory&) const;                // by all threads of the block: tables
///     static SharedSize shared();
///   };
///
/// One block of 256 threads takes stretches of 1024 units of a row (blockIdx.x) and every gridDim.y-th row. A thread takes
/// four units, 256 apart: neighbouring threads read neighbouring units and store 16 bytes beside each other. Reads of all
/// four are started before the first is decoded. Results do not depend on the grid: deterministic.
#pragma once
#include "cuda/device/kernel.cuh"
#include "cuda/ops/decode.h"
#include "cuda/ops/half_rows.h"

/// In front of a loop over registers: arrays that are indexed by its variable stay in registers.
#if !defined(LORIKEET_UNROLL)
#if defined(__CUDACC__)
#define LORIKEET_UNROLL _Pragma("unroll")
#else
#define LORIKEET_UNROLL
#endif
#endif

namespace lorikeet::cuda {

constexpr int kDecodeThreads = 256, kDecodeUnits = 4;
constexpr int64_t kDecodeBlocks = 8192;  // of a row; more stretches than this share blocks, and their tables
constexpr int64_t kDecodeRows = 65535;

// __stwb is a plain store that nvcc leaves whole.
__device__ inline void store_unit(float* out, const float* w) {
  __stwb(reinterpret_cast<float4*>(out), make_float4(w[0], w[1], w[2], w[3]));
  __stwb(reinterpret_cast<float4*>(out) + 1, make_float4(w[4], w[5], w[6], w[7]));
}
template <class T>
__device__ inline void store_unit(T* out, const float* w) {
  __stwb(reinterpret_cast<uint4*>(out), make_uint4(pair_of<T>(w[0], w[1]), pair_of<T>(w[2], w[3]), pair_of<T>(w[4], w[5]), pair_of<T>(w[6], w[7])));
}
/// Where rows are not whole units, or not aligned: `at` is the place of the first number in the row, maybe before it.
template <class Out>
__device__ inline void store_inside(Out* row, int64_t at, int64_t width, const float* w) {
  for (int i = 0; i < kUnit; ++i)
    if (at + i >= 0 && at + i < width) row[at + i] = rounded<Out>(w[i]);
}

template <class Source, class Out>
__global__ void __launch_bounds__(kDecodeThreads) decode_rows_kernel(Source source, DecodeRange range, Out* out, int64_t out_stride) {
  SharedMemory memory;
  const typename Source::Reader reader = source.open(memory);
  using Codes = decltype(reader.load(0));
  constexpr int64_t kStretch = kDecodeThreads * kDecodeUnits;
  for (int64_t r = blockIdx.y; r < range.rows; r += gridDim.y) {
    const int64_t start = range.ids ? (range.ids[r] < 0 ? 0 : range.ids[r]) * range.columns : range.first + r * range.columns;
    const int64_t first_unit = start / kUnit, before = start % kUnit, units = (before + range.width + kUnit - 1) / kUnit;
    Out* row = out + r * out_stride;
    for (int64_t stretch = blockIdx.x * kStretch; stretch < units; stretch += gridDim.x * kStretch) {
      const int64_t mine = stretch + threadIdx.x;
      Codes codes[kDecodeUnits];
      LORIKEET_UNROLL
      for (int k = 0; k < kDecodeUnits; ++k)
        if (mine + k * kDecodeThreads < units) codes[k] = reader.load(first_unit + mine + k * kDecodeThreads);
      LORIKEET_UNROLL
      for (int k = 0; k < kDecodeUnits; ++k) {
        const int64_t unit = mine + k * kDecodeThreads, at = unit * kUnit - before;
        if (unit >= units) continue;
        float w[kUnit];
        reader.decode(codes[k], first_unit + unit, w);
        if (range.vectors && at + kUnit <= range.width) store_unit(row + at, w);
        else store_inside(row, at, range.width, w);
      }
    }
  }
}

template <class Source>
void launch_decode(const Source& source, const DecodeRange& range, DType type, void* out, int64_t out_stride) {
  const int64_t units = (range.width + 2 * kUnit - 2) / kUnit;
  const Grid grid{blocks_for(units, kDecodeThreads * kDecodeUnits, kDecodeBlocks), std::min(range.rows, kDecodeRows)};
  const size_t shared = Source::shared().bytes;
  const auto to = [&](auto number) {
    using Out = decltype(number);
    launch("decode", &decode_rows_kernel<Source, Out>, grid, kDecodeThreads, shared, source, range, static_cast<Out*>(out), out_stride);
  };
  if (is_half_row(type)) by_half_row(type, to);
  else to(0.0f);
}

}  // namespace lorikeet::cuda
