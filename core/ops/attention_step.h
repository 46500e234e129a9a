/// Attention of one new token in each of several texts, each against its own cache: the step of generation. Keys and
/// values are read where they lie (f32, bf16 or int8), once for all query heads that share them. Long texts are cut
/// into chunks of fixed length with a running maximum each, joined in order (split-KV as in Dao et al., "Flash-Decoding
/// for long-context inference", 2023): a text's result has the same bits whatever texts stand beside it and however
/// many threads there are. New tokens of a prompt go through attention_cached().
#pragma once
#include <vector>

#include "core/ops/attention.h"
#include "core/ops/kv_store.h"

namespace lorikeet {

struct AttentionStepText {
  int64_t row;            // of q and o
  const KvStore* keys;
  const KvStore* values;  // of the same type as keys
  int64_t length;         // positions to attend to, the new one included; >= 1
};
struct AttentionStepArgs {
  const Tensor& q;  // [B, heads * D] f32
  const std::vector<AttentionStepText>& texts;
  Tensor& o;        // [B, heads * D]; rows without a text are left alone
  AttentionShape shape;
};
/// Throws ShapeError, DTypeError (f32 q against f32, bf16 or i8 caches only), UnsupportedError.
void attention_step(Context& cx, const AttentionStepArgs& a);
using AttentionStepFn = void (*)(Context&, const AttentionStepArgs&);
KernelSlot<AttentionStepFn>& attention_step_slot();

}  // namespace lorikeet
