/// The CUDA twins, one <op>.cu each; only backend.cu (the list) and the twins include this. Arguments were checked before.
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

namespace lorikeet::cuda {

void embedding(Context&, const EmbeddingArgs&);
void rms_norm(Context&, const RmsNormArgs&);
void rms_norm_backward(Context&, const RmsNormBackwardArgs&);
void layer_norm(Context&, const LayerNormArgs&);
void layer_norm_backward(Context&, const LayerNormBackwardArgs&);
void rope(Context&, const RopeArgs&);
void attention(Context&, const AttentionArgs&);
void attention_backward(Context&, const AttentionBackwardArgs&);
void attention_cached(Context&, const AttentionCachedArgs&);
void attention_step(Context&, const AttentionStepArgs&);
void swiglu(Context&, const SwigluArgs&);
void swiglu_backward(Context&, const SwigluBackwardArgs&);
void adapted_linear(Context&, const AdaptedLinearArgs&);
void adapted_linear_backward(Context&, const AdaptedLinearBackwardArgs&);
void linear_cross_entropy(Context&, const LinearCrossEntropyArgs&);
void adamw_update(Context&, const AdamwUpdateArgs&);
void adamw8bit_update(Context&, const Adamw8bitUpdateArgs&);
void square_sum(Context&, const SquareSumArgs&);
extern const ElementwiseKernels kElementwise;
extern const KvStoreKernels kKvStore;
/// Of core/ops/weight_on.h.
FrozenWeightPtr upload_weight(const FrozenWeight&);

}  // namespace lorikeet::cuda
