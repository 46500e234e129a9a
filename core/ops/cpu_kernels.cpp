// The list of CPU kernels. To add one: write <op>_cpu.cpp, declare it in cpu_twins.h, add one line here.
#include "core/ops/cpu_kernels.h"

#include "core/ops/cpu_twins.h"

namespace lorikeet {

void register_cpu_kernels() {
  constexpr DeviceType cpu = DeviceType::cpu;
  embedding_slot().set(cpu, &embedding_cpu);
  rms_norm_slot().set(cpu, &rms_norm_cpu);
  rms_norm_backward_slot().set(cpu, &rms_norm_backward_cpu);
  layer_norm_slot().set(cpu, &layer_norm_cpu);
  layer_norm_backward_slot().set(cpu, &layer_norm_backward_cpu);
  rope_slot().set(cpu, &rope_cpu);
  attention_slot().set(cpu, &attention_cpu);
  attention_backward_slot().set(cpu, &attention_backward_cpu);
  attention_cached_slot().set(cpu, &attention_cached_cpu);
  attention_step_slot().set(cpu, &attention_step_cpu);
  swiglu_slot().set(cpu, &swiglu_cpu);
  swiglu_backward_slot().set(cpu, &swiglu_backward_cpu);
  adapted_linear_slot().set(cpu, &adapted_linear_cpu);
  adapted_linear_backward_slot().set(cpu, &adapted_linear_backward_cpu);
  linear_cross_entropy_slot().set(cpu, &linear_cross_entropy_cpu);
  adamw_update_slot().set(cpu, &adamw_update_cpu);
  adamw8bit_update_slot().set(cpu, &adamw8bit_update_cpu);
  square_sum_slot().set(cpu, &square_sum_cpu);
  kv_store_slot().set(cpu, &kKvStoreCpu);
  elementwise_slot().set(cpu, &kElementwiseCpu);
}

}  // namespace lorikeet
