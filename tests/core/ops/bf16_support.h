/// What the tests of ops on bf16 rows share. The reference is the f64 form of the same op on the widened operands.
///
/// Bounds: rounding to bf16 moves a number by at most 2^-8 = 3.9e-3 of itself, so a result that is exact but for its
/// last rounding differs by at most 4e-3 in relative L2. Results in f32 that are sums over rounded numbers (softmax
/// weights, x A^T) get the same bound: independent roundings average out. Gradients pass through several such numbers.
#pragma once
#include <array>
#include <utility>
#include <vector>

#include "tests/core/ops/op_support.h"

namespace lorikeet::test {

constexpr double kRoundedOnce = 4e-3, kGradient = 1e-2, kExactSums = 1e-5;

/// One data row a CPU level of this machine and compute type: at levels without bf16 products the ops widen their rows.
inline void unit_rows() {
  QTest::addColumn<int>("level");
  QTest::addColumn<int>("compute");
  for (CpuLevel l : cpu_probe().available)
    for (ComputeType c : {ComputeType::bf16, ComputeType::f32})
      QTest::newRow((std::string(cpu_level_name(l)) + (c == ComputeType::bf16 ? " bf16" : " f32")).c_str()) << static_cast<int>(l) << static_cast<int>(c);
}
inline Context unit_context(int level, int compute, int threads = 2) {
  Context cx = context(static_cast<CpuLevel>(level), threads);
  cx.set_compute(static_cast<ComputeType>(compute));
  return cx;
}

/// A copy between rows of NaN. `gap` numbers stand between rows: even and odd strides take different paths.
inline Tensor apart(const Tensor& t, int64_t gap) {
  Tensor wide = Tensor::empty({t.dim(0) + 2, t.dim(1) + gap}, t.dtype());
  wide.fill(std::nan(""));
  Tensor inside = wide.slice(1, 1 + t.dim(0)).columns(gap / 2, gap / 2 + t.dim(1));
  inside.copy_from(t);
  return inside;
}
inline Tensor nan_filled(Shape shape, DType type) {
  Tensor t = Tensor::empty(std::move(shape), type);
  t.fill(std::nan(""));
  return t;
}
/// f32 numbers that bf16 holds exactly.
inline Tensor representable(Shape shape, uint64_t seed, double size = 1) { return random_tensor(std::move(shape), seed, DType::f32, size).to(DType::bf16).to(DType::f32); }

}  // namespace lorikeet::test
