/// Products of small matrices by a warp: D = A B + C on tensor cores, and the loads from shared memory that give lanes
/// their parts. Layouts are those of the PTX ISA ("Matrix Fragments for mma.m16n8k16", "ldmatrix"). With g = lane / 4
/// and t = lane % 4, a lane holds
///   A [16 x 16]: a[0] (g, 2t..2t+1), a[1] (g + 8, 2t..), a[2] (g, 2t + 8..), a[3] (g + 8, 2t + 8..)
///   B [16 x 8]:  b0 (2t..2t+1, g), b1 (2t + 8.., g)
///   C [16 x 8]:  c[0], c[1] (g, 2t..2t+1), c[2], c[3] (g + 8, 2t..)
/// two 16-bit numbers a word, the first in its lower half. With k = 8: a[0], a[1] and b0 only.
/// Sums in f32. All lanes of a warp take part in every call.
#pragma once
#include "cuda/device/kernel.cuh"

/// In front of a loop over registers: arrays that are indexed by its variable stay in registers.
#if defined(__CUDACC__)
#define LORIKEET_UNROLL _Pragma("unroll")
#else
#define LORIKEET_UNROLL
#endif

#if defined(__CUDACC__)

namespace lorikeet::cuda {

/// c += A B for [16 x 16] [16 x 8] bf16. From sm_80 on.
__device__ inline void mma_bf16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  (void)c, (void)a, (void)b0, (void)b1;
#endif
}

/// c += A B for [16 x 8] [8 x 8] f16. From sm_75 on.
__device__ inline void mma_f16(float (&c)[4], const uint32_t (&a)[2], uint32_t b0) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(b0));
}
/// c += A B for [16 x 16] [16 x 8] f16: one instruction from sm_80 on, before it the two halves of the sum.
__device__ inline void mma_f16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  mma_f16(c, {a[0], a[1]}, b0);
  mma_f16(c, {a[2], a[3]}, b1);
#endif
}

/// Four 8 x 8 matrices of 16-bit numbers: lane l names element `at`, on 16 bytes, where row l % 8 of matrix l / 8 starts.
/// r[j] is (g, 2t..2t+1) of matrix j.
template <class T>
__device__ inline void load_matrices(uint32_t (&r)[4], const Shared<T>& from, int at) {
  static_assert(sizeof(T) == 2);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(from.address(at)) : "memory");
}
/// The same of the transposed matrices: r[j] is (2t, g) and (2t + 1, g) of matrix j.
template <class T>
__device__ inline void load_matrices_turned(uint32_t (&r)[4], const Shared<T>& from, int at) {
  static_assert(sizeof(T) == 2);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(from.address(at))
               : "memory");
}

}  // namespace lorikeet::cuda

#else
#include "cuda/emulation/mma.h"
#endif

namespace lorikeet::cuda {

/// Whether the tensor cores of the card that is compiled for multiply T.
template <class T> constexpr bool kOnTensorCores = true;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
template <> inline constexpr bool kOnTensorCores<Bf16> = false;
#endif

/// c += A B for [16 x 16] [16 x 8] of T.
template <class T> __device__ inline void mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);
template <> __device__ inline void mma<Bf16>(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) { mma_bf16(c, a, b0, b1); }
template <> __device__ inline void mma<Half>(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) { mma_f16(c, a, b0, b1); }

/// The body of a kernel where it is compiled for a card that no launcher starts it on.
__device__ inline void not_for_this_card() {
#if defined(__CUDA_ARCH__)
  __trap();
#endif
}

}  // namespace lorikeet::cuda
