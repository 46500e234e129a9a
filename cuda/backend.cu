// The list of CUDA twins. To add one: write cuda/ops/<op>.cu, declare it in cuda/ops/twins.h, add one line below.
#include "cuda/backend.h"

#include "core/ops/weight_on.h"
#include "core/tensor/device_memory.h"
#include "cuda/ops/twins.h"
#include "cuda/runtime/device.h"
#include "cuda/runtime/memory.h"

namespace lorikeet {

void register_cuda_kernels() {
  constexpr DeviceType gpu = DeviceType::cuda;
  set_device_memory(gpu, &cuda::memory_functions());
  set_device_cards(gpu, &cuda::card_functions());
  upload_weight_slot().set(gpu, &cuda::upload_weight);
  embedding_slot().set(gpu, &cuda::embedding);
  rms_norm_slot().set(gpu, &cuda::rms_norm);
  rms_norm_backward_slot().set(gpu, &cuda::rms_norm_backward);
  layer_norm_slot().set(gpu, &cuda::layer_norm);
  layer_norm_backward_slot().set(gpu, &cuda::layer_norm_backward);
  rope_slot().set(gpu, &cuda::rope);
  attention_slot().set(gpu, &cuda::attention);
  attention_backward_slot().set(gpu, &cuda::attention_backward);
  attention_cached_slot().set(gpu, &cuda::attention_cached);
  attention_step_slot().set(gpu, &cuda::attention_step);
  swiglu_slot().set(gpu, &cuda::swiglu);
  swiglu_backward_slot().set(gpu, &cuda::swiglu_backward);
  adapted_linear_slot().set(gpu, &cuda::adapted_linear);
  adapted_linear_backward_slot().set(gpu, &cuda::adapted_linear_backward);
  linear_cross_entropy_slot().set(gpu, &cuda::linear_cross_entropy);
  adamw_update_slot().set(gpu, &cuda::adamw_update);
  adamw8bit_update_slot().set(gpu, &cuda::adamw8bit_update);
  square_sum_slot().set(gpu, &cuda::square_sum);
  kv_store_slot().set(gpu, &cuda::kKvStore);
  elementwise_slot().set(gpu, &cuda::kElementwise);
}

}  // namespace lorikeet
