#include "core/ops/attention_step.h"

#include "core/ops/checks.h"

namespace lorikeet {
namespace {

constexpr const char* kOp = "attention_step";

void check_store(const AttentionStepArgs& a, const AttentionStepText& t, const KvStore& s) {
  const DType type = s.rows.dtype();
  if ((type != DType::f32 && type != DType::bf16 && type != DType::i8) || type != t.keys->rows.dtype())
    throw DTypeError(std::string(kOp) + ": a cache of " + std::string(dtype_name(type)) + "; wanted keys and values both in f32, bf16 or i8");
  if (s.rows.rank() != 2 || s.rows.width() != a.shape.kv_heads * a.shape.head_dim || t.length < 1 || t.length > s.rows.rows())
    throw ShapeError(std::string(kOp) + ": cache " + to_string(s.rows.shape()) + " for " + std::to_string(t.length) + " positions of " +
                     std::to_string(a.shape.kv_heads) + " heads of width " + std::to_string(a.shape.head_dim));
  if (type == DType::i8) ops::check_shape(kOp, s.scales, "scales", {s.rows.rows(), a.shape.kv_heads});
}

}  // namespace

KernelSlot<AttentionStepFn>& attention_step_slot() {
  static KernelSlot<AttentionStepFn> slot(kOp);
  return slot;
}

void attention_step(Context& cx, const AttentionStepArgs& a) {
  const AttentionShape& s = a.shape;
  if (s.heads < 1 || s.kv_heads < 1 || s.head_dim < 1 || s.heads % s.kv_heads != 0)
    throw ShapeError(std::string(kOp) + ": " + std::to_string(s.heads) + " heads over " + std::to_string(s.kv_heads) + " key/value heads of width " + std::to_string(s.head_dim));
  if (a.q.dtype() != DType::f32) throw DTypeError(std::string(kOp) + ": q is " + std::string(dtype_name(a.q.dtype())) + "; wanted f32");
  ops::check_same_type(kOp, a.q, a.o, "o");
  ops::check_shape(kOp, a.q, "q", {a.q.rows(), s.heads * s.head_dim});
  ops::check_shape(kOp, a.o, "o", a.q.shape());
  for (const AttentionStepText& t : a.texts) {
    if (t.row < 0 || t.row >= a.q.rows()) throw ShapeError(std::string(kOp) + ": row " + std::to_string(t.row) + " of q " + to_string(a.q.shape()));
    check_store(a, t, *t.keys);
    check_store(a, t, *t.values);
  }
  attention_step_slot().run(cx, a);
}

}  // namespace lorikeet
