/// Sums and maxima over the threads of a warp or block, always in the same order: the result is the same in every run.
#pragma once
#include "cuda/device/kernel.cuh"

namespace lorikeet::cuda {

/// Over the lanes of a warp, in every lane.
template <class T>
__device__ inline T warp_sum(T v) {
  for (int bits = kWarpThreads / 2; bits > 0; bits /= 2) v += __shfl_xor_sync(kWholeWarp, v, bits);
  return v;
}
template <class T>
__device__ inline T warp_max(T v) {
  for (int bits = kWarpThreads / 2; bits > 0; bits /= 2) {
    const T other = __shfl_xor_sync(kWholeWarp, v, bits);
    v = v < other ? other : v;
  }
  return v;
}

/// The sum of `v` over all threads, in every thread. kThreads is the block's size, a multiple of 32 up to 1024; all
/// threads take part. `shared` holds kThreads / 32 values. May be called again at once.
template <int kThreads, class T>
__device__ inline T block_sum(T v, Shared<T> shared) {
  static_assert(kThreads % kWarpThreads == 0 && kThreads <= 1024);
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads, warp = static_cast<int>(threadIdx.x) / kWarpThreads;
  v = warp_sum(v);
  __syncthreads();  // everyone has read the result of an earlier call
  if (lane == 0) shared[warp] = v;
  __syncthreads();
  T sum = 0;
  for (int w = 0; w < kThreads / kWarpThreads; ++w) sum += shared[w];
  return sum;
}
template <int kThreads, class T>
__device__ inline T block_max(T v, Shared<T> shared) {
  static_assert(kThreads % kWarpThreads == 0 && kThreads <= 1024);
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads, warp = static_cast<int>(threadIdx.x) / kWarpThreads;
  v = warp_max(v);
  __syncthreads();
  if (lane == 0) shared[warp] = v;
  __syncthreads();
  T most = shared[0];
  for (int w = 1; w < kThreads / kWarpThreads; ++w) {
    const T other = shared[w];
    most = most < other ? other : most;
  }
  return most;
}

}  // namespace lorikeet::cuda
