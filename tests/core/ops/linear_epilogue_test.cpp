// What a linear layer does besides has the bits of the ops `add` and `swiglu` after it, for every level, compute type and
// type of row, few rows and many, with and without an adapter.
#include <utility>

#include "core/base/error.h"
#include "core/ops/adapted_linear.h"
#include "core/ops/elementwise.h"
#include "core/ops/swiglu.h"
#include "tests/core/ops/bf16_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

struct Sizes { int64_t tokens, in, out, rank; };
constexpr Sizes kSizes[] = {{1, 1, 1, 1}, {5, 33, 65, 3}, {16, 40, 7, 0}, {65, 64, 96, 16}, {130, 193, 210, 5}, {64, 40, 64, 0}, {33, 20, 1024, 2}};

/// One layer on rows of a type; beside bf16 the parameters and sums are f32.
struct Case {
  DType rows, sums;
  PlainWeight w;
  Tensor x, bias, a, b, h;
  Case(const Sizes& s, DType type)
      : rows(type), sums(type == DType::bf16 ? DType::f32 : type), w(random_tensor({s.out, s.in}, 1)), x(apart(random_tensor({s.tokens, s.in}, 2, type), 5)), bias(random_tensor({s.out}, 3, sums)),
        a(random_tensor({s.rank, s.in}, 4, sums)), b(random_tensor({s.out, s.rank}, 5, sums)), h(nan_filled({s.tokens, s.rank}, type)) {}
  void run(Context& cx, Tensor& y, const LinearEpilogue& then = {}) {
    const bool adapter = a.rows() > 0;
    adapted_linear(cx, {x, w, &bias, y, adapter ? &a : nullptr, adapter ? &b : nullptr, 1.5, adapter ? &h : nullptr, 0, 0, then});
  }
  Tensor output(DType type) const { return apart(nan_filled({x.rows(), w.rows()}, type), 3); }
};

}  // namespace

class LinearEpilogueTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_cpu_kernels(); }

  void theResidualIsAdded_data() { unit_rows(); }
  void theResidualIsAdded() {
    QFETCH(int, level);
    QFETCH(int, compute);
    for (DType type : {DType::f32, DType::f64, DType::bf16})
      for (const Sizes& n : kSizes)
        for (int threads : {1, 3}) {
          Context cx = unit_context(level, compute, threads);
          Case c(n, type);
          const Tensor residual = apart(random_tensor({n.tokens, n.out}, 6, c.sums), 7);
          Tensor apart_sum = c.output(c.sums), fused = c.output(c.sums);
          c.run(cx, apart_sum);
          add(cx, residual, apart_sum, apart_sum);
          c.run(cx, fused, {.residual = &residual});
          QVERIFY2(same_bits(fused, apart_sum), dtype_name(type).data());
        }
  }
  void theGateIsMultiplied_data() { unit_rows(); }
  void theGateIsMultiplied() {
    QFETCH(int, level);
    QFETCH(int, compute);
    Context cx = unit_context(level, compute, 2);
    const std::pair<DType, DType> kTypes[] = {{DType::f32, DType::f32}, {DType::f64, DType::f64}, {DType::bf16, DType::bf16}, {DType::bf16, DType::f32}};
    for (const auto& [rows, type] : kTypes)
      for (const Sizes& n : kSizes)
        for (GateActivation activation : {GateActivation::silu, GateActivation::gelu_tanh}) {
          Case c(n, rows);
          Tensor gate = apart(random_tensor({n.tokens, n.out}, 6, type), 7);
          Tensor y = c.output(type), product = c.output(type), same_y = c.output(type), fused = c.output(type);
          c.run(cx, y);
          swiglu(cx, {gate, y, product, activation});
          c.run(cx, same_y, {.gate = &gate, .gated = &fused, .activation = activation});
          QVERIFY2(same_bits(same_y, y) && same_bits(fused, product), dtype_name(type).data());
          c.run(cx, same_y, {.gate = &gate, .gated = &gate, .activation = activation});
          QVERIFY2(same_bits(gate, product), "over the gate itself");
        }
  }
  void errors() {
    Context cx = context(CpuLevel::scalar);
    Case c({3, 4, 5, 0}, DType::f32), half({3, 4, 5, 0}, DType::bf16);
    Tensor y = Tensor::empty({3, 5}), narrow = Tensor::empty({3, 4}), exact = Tensor::empty({3, 5}, DType::f64), rounded = Tensor::empty({3, 5}, DType::bf16), out = Tensor::empty({3, 5});
    VERIFY_THROWS(c.run(cx, y, {.residual = &narrow}), ShapeError, "residual");
    VERIFY_THROWS(c.run(cx, y, {.residual = &exact}), DTypeError, "residual");
    VERIFY_THROWS(half.run(cx, rounded, {.residual = &y}), DTypeError, "y with a residual");
    VERIFY_THROWS(c.run(cx, y, {.gate = &out}), ShapeError, "belong together");
    VERIFY_THROWS(c.run(cx, y, {.gated = &out}), ShapeError, "belong together");
    VERIFY_THROWS(c.run(cx, y, {.residual = &out, .gate = &out, .gated = &out}), ShapeError, "without a residual");
    VERIFY_THROWS(c.run(cx, y, {.gate = &narrow, .gated = &out}), ShapeError, "gate or gated");
    VERIFY_THROWS(c.run(cx, y, {.gate = &out, .gated = &rounded}), DTypeError, "gate or gated");
  }
};

LORIKEET_TEST_MAIN(LinearEpilogueTest)
#include "linear_epilogue_test.moc"
