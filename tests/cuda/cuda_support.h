/// What the tests of kernels share. The same test runs against the emulation and, in builds with CUDA, on a card.
#pragma once
#include "core/ops/cpu_kernels.h"
#include "core/tensor/context.h"
#include "core/tensor/device_memory.h"
#include "cuda/backend.h"
#include "tests/support/support.h"

namespace lorikeet::test {

/// In initTestCase(): the kernels of both devices; says why there is no GPU.
#define LORIKEET_NEEDS_GPU()                                          \
  do {                                                                \
    lorikeet::register_cpu_kernels();                                 \
    const lorikeet::GpuList list_ = lorikeet::list_gpus();            \
    if (!list_.reason.empty()) QSKIP(list_.reason.c_str());           \
    lorikeet::register_cuda_kernels();                                \
  } while (false)

/// The 16-bit types of rows, and what a rounding to one is told from f32 by: relative L2 of results, and of gradients. The CPU
/// knows no rows of f16: they are compared with what it makes of the same numbers in a wider type.
constexpr DType kHalfRows[] = {DType::bf16, DType::f16};
inline double half_tolerance(DType t) { return t == DType::bf16 ? 4e-3 : 1e-3; }
inline double half_gradient_tolerance(DType t) { return t == DType::bf16 ? 1e-2 : 2e-3; }
/// 2^-8 or 2^-11: half a unit in the last place of 1 and a little.
inline double half_unit(DType t) { return t == DType::bf16 ? 0x1.01p-8 : 0x1.01p-11; }

inline Tensor on_gpu(const Tensor& t) { return t.on(DeviceType::cuda); }
inline Tensor on_cpu(const Tensor& t) { return t.on(DeviceType::cpu); }
inline Tensor gpu_empty(Shape shape, DType dtype = DType::f32) { return Tensor::empty(std::move(shape), dtype, DeviceType::cuda); }
/// A tensor on the GPU inside a wider one, so that its rows have gaps.
inline Tensor gpu_strided(const Tensor& host, int64_t before = 8, int64_t behind = 8) {
  Tensor wide = gpu_empty({host.dim(0), host.dim(1) + before + behind}, host.dtype());
  Tensor inside = wide.columns(before, before + host.dim(1));
  inside.copy_from(host);
  return inside;
}

}  // namespace lorikeet::test
