#include "core/ops/attention.h"

#include "core/ops/checks.h"

namespace lorikeet {
namespace {

void check_heads(const char* op, const AttentionShape& s) {
  if (s.heads < 1 || s.kv_heads < 1 || s.head_dim < 1 || s.heads % s.kv_heads != 0)
    throw ShapeError(std::string(op) + ": " + std::to_string(s.heads) + " heads over " + std::to_string(s.kv_heads) + " key/value heads of width " + std::to_string(s.head_dim));
  if (s.window < 0 || !(s.soft_cap >= 0)) throw ShapeError(std::string(op) + ": a window of " + std::to_string(s.window) + " keys, a soft cap of " + std::to_string(s.soft_cap));
}

void check_documents(const char* op, const Tensor& starts, int64_t tokens) {
  ops::check_i32(op, starts, "document_starts");
  const int32_t* s = ops::indices_to_check(starts);
  if (!s) return;
  const int64_t n = starts.size();
  bool right = n >= 1 && s[0] == 0 && s[n - 1] == tokens;
  for (int64_t i = 0; right && i + 1 < n; ++i) right = s[i] <= s[i + 1];
  if (!right) throw ShapeError(std::string(op) + ": document_starts must rise from 0 to the number of tokens (" + std::to_string(tokens) + ")");
}

void check_sums(const char* op, const Tensor& q, const Tensor& t, const char* name, int64_t rows, int64_t width) {
  ops::check_type(op, t, name, ops::sum_type(q));
  ops::check_shape(op, t, name, {rows, width});
}

void check_operand(const char* op, const Tensor& q, const Tensor& t, const char* name, int64_t rows, int64_t width) {
  ops::check_same_type(op, q, t, name);
  ops::check_shape(op, t, name, {rows, width});
}

}  // namespace

KernelSlot<AttentionFn>& attention_slot() {
  static KernelSlot<AttentionFn> slot("attention");
  return slot;
}
KernelSlot<AttentionBackwardFn>& attention_backward_slot() {
  static KernelSlot<AttentionBackwardFn> slot("attention_backward");
  return slot;
}
KernelSlot<AttentionCachedFn>& attention_cached_slot() {
  static KernelSlot<AttentionCachedFn> slot("attention_cached");
  return slot;
}

void attention(Context& cx, const AttentionArgs& a) {
  constexpr const char* op = "attention";
  const auto& s = a.shape;
  check_heads(op, s);
  ops::check_rows(op, a.q, "q");
  const int64_t tokens = a.q.rows();
  check_operand(op, a.q, a.q, "q", tokens, s.heads * s.head_dim);
  check_operand(op, a.q, a.k, "k", tokens, s.kv_heads * s.head_dim);
  check_operand(op, a.q, a.v, "v", tokens, s.kv_heads * s.head_dim);
  check_operand(op, a.q, a.o, "o", tokens, s.heads * s.head_dim);
  if (a.lse) check_sums(op, a.q, *a.lse, "lse", tokens, s.heads);
  check_documents(op, a.document_starts, tokens);
  attention_slot().run(cx, a);
}

void attention_backward(Context& cx, const AttentionBackwardArgs& a) {
  constexpr const char* op = "attention_backward";
  const auto& s = a.shape;
  check_heads(op, s);
  ops::check_rows(op, a.q, "q");
  const int64_t tokens = a.q.rows(), wide = s.heads * s.head_dim, narrow = s.kv_heads * s.head_dim;
  check_operand(op, a.q, a.q, "q", tokens, wide);
  check_operand(op, a.q, a.d_o, "d_o", tokens, wide);
  check_operand(op, a.q, a.o, "o", tokens, wide);
  check_sums(op, a.q, a.dq, "dq", tokens, wide);
  check_operand(op, a.q, a.k, "k", tokens, narrow);
  check_operand(op, a.q, a.v, "v", tokens, narrow);
  check_sums(op, a.q, a.dk, "dk", tokens, narrow);
  check_sums(op, a.q, a.dv, "dv", tokens, narrow);
  check_sums(op, a.q, a.lse, "lse", tokens, s.heads);
  check_documents(op, a.document_starts, tokens);
  attention_backward_slot().run(cx, a);
}

void attention_cached(Context& cx, const AttentionCachedArgs& a) {
  constexpr const char* op = "attention_cached";
  const auto& s = a.shape;
  check_heads(op, s);
  ops::check_float(op, a.q, "q");
  const int64_t tokens = a.q.rows();
  check_operand(op, a.q, a.q, "q", tokens, s.heads * s.head_dim);
  check_operand(op, a.q, a.o, "o", tokens, s.heads * s.head_dim);
  for (const Tensor* t : {&a.keys, &a.values}) {
    ops::check_same_type(op, a.q, *t, "the cache");
    if (t->width() != s.kv_heads * s.head_dim || a.past < 0 || t->rows() < a.past + tokens)
      throw ShapeError(std::string(op) + ": cache " + to_string(t->shape()) + " for " + std::to_string(a.past) + " + " + std::to_string(tokens) + " tokens of width " +
                       std::to_string(s.kv_heads * s.head_dim));
  }
  attention_cached_slot().run(cx, a);
}

}  // namespace lorikeet
