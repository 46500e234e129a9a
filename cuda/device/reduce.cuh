/// Sums over the threads of a block, always added in the same order: the result is the same in every run.
#pragma once

namespace lorikeet::cuda {

constexpr int kWarpThreads = 32;

template <class T>
__device__ inline T warp_sum(T v) {
  for (int offset = kWarpThreads / 2; offset > 0; offset /= 2) v += __shfl_down_sync(0xffffffffu, v, offset);
  return v;  // in lane 0
}

/// The sum of `v` over all threads, in every thread. kThreads is the block's size, a multiple of 32 up to 1024; all
/// threads take part. `shared` holds kThreads / 32 values. May be called again at once.
template <int kThreads, class T>
__device__ inline T block_sum(T v, T* shared) {
  static_assert(kThreads % kWarpThreads == 0 && kThreads <= 1024);
  constexpr int kWarps = kThreads / kWarpThreads;
  const int lane = threadIdx.x % kWarpThreads, warp = threadIdx.x / kWarpThreads;
  v = warp_sum(v);
  __syncthreads();  // everyone has read the result of an earlier call
  if (lane == 0) shared[warp] = v;
  __syncthreads();
  T sum = 0;
  for (int w = 0; w < kWarps; ++w) sum += shared[w];
  return sum;
}

}  // namespace lorikeet::cuda
