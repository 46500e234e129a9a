// The list of CUDA twins. To add one: write cuda/ops/<op>.cu with its header, add one line below.
#include "core/ops/rms_norm.h"
#include "cuda/backend.h"
#include "cuda/ops/rms_norm.h"

namespace lorikeet {

void register_cuda_kernels() {
  rms_norm_slot().set(DeviceType::cuda, &cuda::rms_norm);
  rms_norm_backward_slot().set(DeviceType::cuda, &cuda::rms_norm_backward);
}

}  // namespace lorikeet
