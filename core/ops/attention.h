/// Causal attention inside packed documents with grouped key/value heads; never stores T x T.
/// S = scale q k^T, LSE per row, O = exp(S - LSE) v, computed in blocks with a running maximum (Dao 2023,
/// arXiv:2307.08691). Backward recomputes S block by block: D = sum(dO O), dS = P (dP - D). Deterministic: every output
/// element is summed by one task in a fixed order, whatever the number of threads.
#pragma once
#include "core/tensor/context.h"
#include "core/tensor/kernel_slot.h"

namespace lorikeet {
struct AttentionShape {
  int64_t heads, kv_heads, head_dim;  // heads % kv_heads == 0
  double scale;                       // usually 1/sqrt(head_dim)
  int64_t window = 0;   // keys a query sees, its own the last (Mistral, arXiv:2310.06825); 0: all up to its own
  double soft_cap = 0;  // scores s become cap tanh(s / cap) (Gemma 2, arXiv:2408.00118); 0: as they are
  /// The first key that query number `query` of a document sees.
  int64_t first_key(int64_t query) const { return window > 0 && query >= window ? query - window + 1 : 0; }
  /// One behind the last query, of `queries`, that sees key number `key`.
  int64_t queries_end(int64_t key, int64_t queries) const { return window > 0 && window < queries - key ? key + window : queries; }
};
struct AttentionArgs {
  const Tensor& q;                // [T, heads * D] f32 | f64 | bf16 | f16 (row stride may exceed the width)
  const Tensor& k;                // [T, kv_heads * D]
  const Tensor& v;                // [T, kv_heads * D]
  const Tensor& document_starts;  // [documents + 1] i32: 0 .. T, rising
  Tensor& o;                      // [T, heads * D]
  Tensor* lse;                    // [T, heads] type of q, f32 for 16-bit rows; kept for the gradient; null when not training
  AttentionShape shape;
};
struct AttentionBackwardArgs {
  const Tensor& d_o;
  const Tensor& q; const Tensor& k; const Tensor& v; const Tensor& o; const Tensor& lse;
  const Tensor& document_starts;
  Tensor& dq; Tensor& dk; Tensor& dv;  // overwritten; f32 for 16-bit rows
  AttentionShape shape;
};
/// New tokens of one sequence against its cache: query i (of n) sees keys 0 .. past + i.
struct AttentionCachedArgs {
  const Tensor& q;      // [n, heads * D]
  const Tensor& keys;   // [>= past + n, kv_heads * D], rows past.. already hold the new keys
  const Tensor& values;
  Tensor& o;            // [n, heads * D]
  int64_t past;
  AttentionShape shape;
};
void attention(Context& cx, const AttentionArgs& a);
void attention_backward(Context& cx, const AttentionBackwardArgs& a);
void attention_cached(Context& cx, const AttentionCachedArgs& a);
using AttentionFn = void (*)(Context&, const AttentionArgs&);
using AttentionBackwardFn = void (*)(Context&, const AttentionBackwardArgs&);
using AttentionCachedFn = void (*)(Context&, const AttentionCachedArgs&);
KernelSlot<AttentionFn>& attention_slot();
KernelSlot<AttentionBackwardFn>& attention_backward_slot();
KernelSlot<AttentionCachedFn>& attention_cached_slot();
}  // namespace lorikeet
