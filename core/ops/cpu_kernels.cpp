// The list of CPU kernels. To add one: declare its function below and add one line to register_cpu_kernels().
#include "core/ops/cpu_kernels.h"

#include "core/ops/adamw_update.h"
#include "core/ops/adapted_linear.h"
#include "core/ops/attention.h"
#include "core/ops/elementwise.h"
#include "core/ops/embedding.h"
#include "core/ops/linear_cross_entropy.h"
#include "core/ops/rms_norm.h"
#include "core/ops/rope.h"
#include "core/ops/swiglu.h"

namespace lorikeet {

void adamw_update_cpu(Context&, const AdamwUpdateArgs&);
void adapted_linear_cpu(Context&, const AdaptedLinearArgs&);
void adapted_linear_backward_cpu(Context&, const AdaptedLinearBackwardArgs&);
void attention_cpu(Context&, const AttentionArgs&);
void attention_backward_cpu(Context&, const AttentionBackwardArgs&);
void attention_cached_cpu(Context&, const AttentionCachedArgs&);
extern const ElementwiseKernels elementwise_cpu;
void embedding_cpu(Context&, const EmbeddingArgs&);
void linear_cross_entropy_cpu(Context&, const LinearCrossEntropyArgs&);
void rms_norm_cpu(Context&, const RmsNormArgs&);
void rms_norm_backward_cpu(Context&, const RmsNormBackwardArgs&);
void rope_cpu(Context&, const RopeArgs&);
void swiglu_cpu(Context&, const SwigluArgs&);
void swiglu_backward_cpu(Context&, const SwigluBackwardArgs&);

void register_cpu_kernels() {
  adamw_update_slot().set(DeviceType::cpu, &adamw_update_cpu);
  adapted_linear_slot().set(DeviceType::cpu, &adapted_linear_cpu);
  adapted_linear_backward_slot().set(DeviceType::cpu, &adapted_linear_backward_cpu);
  attention_slot().set(DeviceType::cpu, &attention_cpu);
  attention_backward_slot().set(DeviceType::cpu, &attention_backward_cpu);
  attention_cached_slot().set(DeviceType::cpu, &attention_cached_cpu);
  elementwise_slot().set(DeviceType::cpu, &elementwise_cpu);
  embedding_slot().set(DeviceType::cpu, &embedding_cpu);
  linear_cross_entropy_slot().set(DeviceType::cpu, &linear_cross_entropy_cpu);
  rms_norm_slot().set(DeviceType::cpu, &rms_norm_cpu);
  rms_norm_backward_slot().set(DeviceType::cpu, &rms_norm_backward_cpu);
  rope_slot().set(DeviceType::cpu, &rope_cpu);
  swiglu_slot().set(DeviceType::cpu, &swiglu_cpu);
  swiglu_backward_slot().set(DeviceType::cpu, &swiglu_backward_cpu);
}

}  // namespace lorikeet
