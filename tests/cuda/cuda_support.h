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
