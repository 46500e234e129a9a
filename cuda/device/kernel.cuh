/// What every kernel file includes. The same source is compiled by nvcc for the card and as plain C++ for the emulation
/// (cuda/emulation/block.h), which runs it in tests on machines without one.
/// Rules that make this work: shared memory comes from SharedMemory; kernels are started by launch(); matrix fragments,
/// asynchronous copies and 16-bit numbers go through the headers of this folder.
#pragma once
#if defined(__CUDACC__)
#include <cuda_runtime.h>
#else
#include "cuda/emulation/kernel_shim.h"
#endif
#include <cstdint>

#include "cuda/device/number.cuh"
#include "cuda/device/shared.cuh"
#include "cuda/runtime/launch.cuh"

namespace lorikeet::cuda {

constexpr int kWarpThreads = 32;
constexpr unsigned kWholeWarp = 0xffffffffu;

}  // namespace lorikeet::cuda
