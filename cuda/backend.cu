// The list of CUDA twins. To add one: write cuda/ops/<op>.cu, declare it in cuda/ops/twins.h, add one line below.
#include "cuda/backend.h"

#include "core/tensor/device_memory.h"
#include "cuda/ops/twins.h"
#include "cuda/runtime/memory.h"

namespace lorikeet {

void register_cuda_kernels() {
  constexpr DeviceType gpu = DeviceType::cuda;
  set_device_memory(gpu, &cuda::memory_functions());
  rms_norm_slot().set(gpu, &cuda::rms_norm);
  rms_norm_backward_slot().set(gpu, &cuda::rms_norm_backward);
}

}  // namespace lorikeet
