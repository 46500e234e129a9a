#include "core/ops/adamw8bit_update.h"

#include "core/ops/checks.h"

namespace lorikeet {
namespace {

void check_operand(const Tensor& t, const char* name, DType dtype, const Shape& shape) {
  if (t.dtype() != dtype)
    throw DTypeError(std::string("adamw8bit_update: ") + name + " is " + std::string(dtype_name(t.dtype())) + "; wanted " + std::string(dtype_name(dtype)));
  ops::check_shape("adamw8bit_update", t, name, shape);
  if (!t.contiguous()) throw ShapeError(std::string("adamw8bit_update: ") + name + " has gaps between rows");
}

}  // namespace

KernelSlot<Adamw8bitUpdateFn>& adamw8bit_update_slot() {
  static KernelSlot<Adamw8bitUpdateFn> slot("adamw8bit_update");
  return slot;
}

void adamw8bit_update(Context& cx, const Adamw8bitUpdateArgs& a) {
  for (const Adamw8bitTensors& e : a.tensors) {
    const Shape blocks = {(e.p.size() + kMomentBlock - 1) / kMomentBlock};
    check_operand(e.p, "p", DType::f32, e.p.shape());
    check_operand(e.g, "g", DType::f32, e.p.shape());
    check_operand(e.m_codes, "m_codes", DType::u8, e.p.shape());
    check_operand(e.v_codes, "v_codes", DType::u8, e.p.shape());
    check_operand(e.m_absmax, "m_absmax", DType::f32, blocks);
    check_operand(e.v_absmax, "v_absmax", DType::f32, blocks);
  }
  if (a.step < 1) throw ShapeError("adamw8bit_update: step " + std::to_string(a.step) + "; steps count from 1");
  ops::check_clip("adamw8bit_update", a.clip);
  with_clip(cx, a, [&](const auto& args) { adamw8bit_update_slot().run(cx, args); });
}

}  // namespace lorikeet
