/// Copies of 16 (or 4) bytes from device memory to shared memory that go on while the thread works (cp.async, from sm_80 on; a
/// plain copy before). A thread gathers copies into groups with commit_copies() and waits for its own with wait_copies();
/// a barrier after the wait makes them seen by others. In the emulation a copy arrives when it is waited for and its place
/// is NaN until then.
#pragma once
#include "cuda/device/kernel.cuh"

namespace lorikeet::cuda {

/// Sixteen bytes at `from`, on 16 bytes, to elements to[at]...
template <class T>
__device__ inline void copy_async_16(const Shared<T>& to, int at, const void* from) {
#if !defined(__CUDACC__)
  emulation::copy_later(to.place(at), from, 16);
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to.address(at)), "l"(__cvta_generic_to_global(from)) : "memory");
#else
  *reinterpret_cast<uint4*>(&to[at]) = *static_cast<const uint4*>(from);
#endif
}

/// Four bytes at `from`, on 4 bytes, to element to[at].
template <class T>
__device__ inline void copy_async_4(const Shared<T>& to, int at, const void* from) {
  static_assert(sizeof(T) == 4);
#if !defined(__CUDACC__)
  emulation::copy_later(to.place(at), from, 4);
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(to.address(at)), "l"(__cvta_generic_to_global(from)) : "memory");
#else
  to[at] = *static_cast<const T*>(from);
#endif
}

__device__ inline void commit_copies() {
#if !defined(__CUDACC__)
  emulation::commit_copies();
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/// Until at most kGroupsLeft of the thread's groups, the latest ones, are under way.
template <int kGroupsLeft>
__device__ inline void wait_copies() {
#if !defined(__CUDACC__)
  emulation::wait_copies(kGroupsLeft);
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(kGroupsLeft) : "memory");
#endif
}

}  // namespace lorikeet::cuda
