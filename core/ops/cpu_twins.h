/// The CPU twins, one x_cpu.cpp each; only cpu_kernels.cpp (the list) and the twins include this.
#pragma once
#include "core/ops/adamw8bit_update.h"
#include "core/ops/adamw_update.h"
#include "core/ops/adapted_linear.h"
#include "core/ops/attention.h"
#include "core/ops/attention_step.h"
#include "core/ops/elementwise.h"
#include "core/ops/embedding.h"
#include "core/ops/kv_store.h"
#include "core/ops/layer_norm.h"
#include "core/ops/linear_cross_entropy.h"
#include "core/ops/rms_norm.h"
#include "core/ops/rope.h"
#include "core/ops/square_sum.h"
#include "core/ops/swiglu.h"

namespace lorikeet {

void embedding_cpu(Context&, const EmbeddingArgs&);
void rms_norm_cpu(Context&, const RmsNormArgs&);
void rms_norm_backward_cpu(Context&, const RmsNormBackwardArgs&);
void layer_norm_cpu(Context&, const LayerNormArgs&);
void layer_norm_backward_cpu(Context&, const LayerNormBackwardArgs&);
void rope_cpu(Context&, const RopeArgs&);
void attention_cpu(Context&, const AttentionArgs&);
void attention_backward_cpu(Context&, const AttentionBackwardArgs&);
void attention_cached_cpu(Context&, const AttentionCachedArgs&);
void attention_step_cpu(Context&, const AttentionStepArgs&);
void swiglu_cpu(Context&, const SwigluArgs&);
void swiglu_backward_cpu(Context&, const SwigluBackwardArgs&);
void adapted_linear_cpu(Context&, const AdaptedLinearArgs&);
void adapted_linear_backward_cpu(Context&, const AdaptedLinearBackwardArgs&);
void linear_cross_entropy_cpu(Context&, const LinearCrossEntropyArgs&);
void adamw_update_cpu(Context&, const AdamwUpdateArgs&);
void adamw8bit_update_cpu(Context&, const Adamw8bitUpdateArgs&);
void square_sum_cpu(Context&, const SquareSumArgs&);
extern const ElementwiseKernels kElementwiseCpu;
extern const KvStoreKernels kKvStoreCpu;
/// The epilogue of a linear layer as ops of their own, for kernels that do not fuse it.
void linear_epilogue_cpu(Context&, const AdaptedLinearArgs&);
// The same on rows of bf16, called by the twins above; where the unit has no bf16 products they widen and round.
void adapted_linear_bf16(Context&, const AdaptedLinearArgs&);
void adapted_linear_backward_bf16(Context&, const AdaptedLinearBackwardArgs&);
void attention_bf16(Context&, const AttentionArgs&);
void attention_backward_bf16(Context&, const AttentionBackwardArgs&);
void linear_cross_entropy_bf16(Context&, const LinearCrossEntropyArgs&);

}  // namespace lorikeet
