#include "core/ops/swiglu.h"

#include "core/base/error.h"
#include "tests/core/ops/bf16_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

constexpr GateActivation kActivations[] = {GateActivation::silu, GateActivation::gelu_tanh};

// Value and slope, as the papers write them.
std::pair<double, double> silu(double x) {
  const double s = 1 / (1 + std::exp(-x));
  return {x * s, s + x * s * (1 - s)};
}
std::pair<double, double> gelu(double x) {
  const double root = std::sqrt(2 / 3.14159265358979323846), t = std::tanh(root * (x + 0.044715 * x * x * x));
  return {0.5 * x * (1 + t), 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * root * (1 + 3 * 0.044715 * x * x)};
}

}  // namespace

class SwigluTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_cpu_kernels(); }
  void matchesFloat64Reference_data() { level_rows(); }
  void matchesFloat64Reference() {
    QFETCH(int, level);
    QFETCH(int, type);
    const auto t = static_cast<DType>(type);
    Context cx = context(static_cast<CpuLevel>(level));
    for (int64_t width : {1, 3, 7, 33, 65, 1536}) for (const double scale : {1.0, 20.0})  // 20: both ends of the sigmoid
      for (const GateActivation activation : kActivations) {
        const int64_t rows = 11;
        const Tensor g = strided(random_tensor({rows, width}, 1, t, scale)), u = strided(random_tensor({rows, width}, 2, t)), dy = strided(random_tensor({rows, width}, 3, t));
        Tensor y = strided_output(rows, width, t), dg = strided_output(rows, width, t), du = strided_output(rows, width, t);
        swiglu(cx, {g, u, y, activation});
        swiglu_backward(cx, {dy, g, u, dg, du, activation});
        auto wy = values(g), wdg = wy, wdu = wy;
        const auto gs = wy, us = values(u), ds = values(dy);
        for (size_t i = 0; i < gs.size(); ++i) {
          const auto [value, slope] = activation == GateActivation::silu ? silu(gs[i]) : gelu(gs[i]);
          wy[i] = value * us[i];
          wdu[i] = ds[i] * value;
          wdg[i] = ds[i] * us[i] * slope;
        }
        VERIFY_SMALL(relative_l2(y, f64(wy, y.shape())), tolerance(t));
        VERIFY_SMALL(relative_l2(dg, f64(wdg, y.shape())), tolerance(t));
        VERIFY_SMALL(relative_l2(du, f64(wdu, y.shape())), tolerance(t));
      }
  }
  void farOutStaysFinite() {
    for (CpuLevel level : cpu_probe().available) for (const GateActivation activation : kActivations) {
      Context cx = context(level);
      const Tensor g = Tensor::from(std::vector<float>{-1e4f, -200, -90, 0, 90, 200, 1e4f}, {1, 7}), u = Tensor::from(std::vector<float>(7, 1), {1, 7});
      Tensor y = Tensor::empty({1, 7}), dg = Tensor::empty({1, 7}), du = Tensor::empty({1, 7});
      swiglu(cx, {g, u, y, activation});
      swiglu_backward(cx, {u, g, u, dg, du, activation});
      const auto v = values(y), d = values(dg);
      const double wanted[] = {0, 0, 0, 0, 90, 200, 1e4}, wanted_d[] = {0, 0, 0, 0.5, 1, 1, 1};
      for (size_t i = 0; i < 7; ++i) QVERIFY(std::abs(v[i] - wanted[i]) < 1e-30 + 1e-6 * wanted[i] && std::abs(d[i] - wanted_d[i]) < 1e-6);
    }
  }
  void mayWriteOverItsInputs() {
    for (CpuLevel level : cpu_probe().available) {
      Context cx = context(level);
      Tensor g = random_tensor({5, 70}, 1), u = random_tensor({5, 70}, 2), dy = random_tensor({5, 70}, 3);
      Tensor y = Tensor::empty({5, 70}), dg = y.clone(), du = y.clone(), over_gate = g.clone(), over_up = u.clone();
      swiglu(cx, {g, u, y});
      swiglu(cx, {over_gate, u, over_gate});
      swiglu(cx, {g, over_up, over_up});
      QVERIFY(same_bits(over_gate, y) && same_bits(over_up, y));
      swiglu_backward(cx, {dy, g, u, dg, du});
      Tensor g2 = g.clone(), u2 = u.clone(), dy2 = dy.clone(), u3 = u.clone();
      swiglu_backward(cx, {dy, g2, u2, g2, u2});
      QVERIFY(same_bits(g2, dg) && same_bits(u2, du));
      swiglu_backward(cx, {dy2, g, u3, dy2, u3});
      QVERIFY(same_bits(dy2, dg) && same_bits(u3, du));
    }
  }
  void gradientMatchesCentralDifferences() {
    Context cx = context(CpuLevel::scalar);
    const Shape shape{3, 5};
    Tensor g = random_tensor(shape, 1, DType::f64, 3), u = random_tensor(shape, 2, DType::f64), dy = random_tensor(shape, 3, DType::f64);
    Tensor y = Tensor::empty(shape, DType::f64), dg = y.clone(), du = y.clone();
    for (const GateActivation activation : kActivations) {
      swiglu_backward(cx, {dy, g, u, dg, du, activation});
      const auto loss = [&] { swiglu(cx, {g, u, y, activation}); return weighted_sum(y, dy); };
      VERIFY_SMALL(gradient_error(g, dg, loss), 1e-6);
      VERIFY_SMALL(gradient_error(u, du, loss), 1e-6);
    }
  }
  void threadsChangeNoBit() {
    const Tensor g = random_tensor({77, 65}, 1), u = random_tensor({77, 65}, 2);
    for (CpuLevel level : cpu_probe().available) {
      Tensor first;
      for (int threads : {1, 2, 3}) {
        Context cx = context(level, threads);
        Tensor y = Tensor::empty({77, 65});
        swiglu(cx, {g, u, y});
        if (!first.defined()) first = y;
        QVERIFY(same_bits(first, y));
      }
    }
  }
  void refusesWhatDoesNotFit() {
    Context cx = context(CpuLevel::scalar);
    Tensor a = random_tensor({2, 4}, 1), other = random_tensor({2, 5}, 1), wide = random_tensor({2, 4}, 1, DType::f64), y = Tensor::empty({2, 4}), half = a.to(DType::bf16);
    VERIFY_THROWS(swiglu(cx, {a, other, y}), ShapeError, "up is [2, 5]");
    VERIFY_THROWS(swiglu(cx, {a, a, other}), ShapeError, "y is [2, 5]");
    VERIFY_THROWS(swiglu(cx, {a, wide, y}), DTypeError, "up is f64");
    VERIFY_THROWS(swiglu(cx, {half, half, y}), DTypeError, "bf16");
    VERIFY_THROWS(swiglu_backward(cx, {other, a, a, y, y}), ShapeError, "[2, 5]");
    VERIFY_THROWS(swiglu_backward(cx, {a, a, a, wide, y}), DTypeError, "f64");
  }
  void rowsOfBf16AreRoundedOnce() {
    for (CpuLevel level : cpu_probe().available)
      for (int64_t width : {1, 3, 7, 33, 65, 1536})
        for (const auto& [scale, activation] : {std::pair{1.0, kActivations[0]}, {20.0, kActivations[0]}, {1.0, kActivations[1]}, {20.0, kActivations[1]}}) {
          const auto rows = [width](uint64_t seed, double size) { return strided(random_tensor({11, width}, seed, DType::bf16, size)); };
          const Tensor g = rows(1, scale), u = rows(2, 1), dy = rows(3, 1);
          Tensor y = strided_output(11, width, DType::bf16), dg = y.clone(), du = strided(y), wy = Tensor::empty({11, width}, DType::f64), wg = wy.clone(), wu = wy.clone();
          Context cx = context(level), one = context(level, 1), exact = context(CpuLevel::scalar);
          const Tensor g64 = g.to(DType::f64), u64 = u.to(DType::f64);
          swiglu(cx, {g, u, y, activation});
          swiglu_backward(cx, {dy, g, u, dg, du, activation});
          swiglu(exact, {g64, u64, wy, activation});
          swiglu_backward(exact, {dy.to(DType::f64), g64, u64, wg, wu, activation});
          VERIFY_SMALL(relative_l2(y, wy), kRoundedOnce);
          VERIFY_SMALL(relative_l2(dg, wg), kRoundedOnce);
          VERIFY_SMALL(relative_l2(du, wu), kRoundedOnce);
          // The same with another number of threads and over the inputs.
          Tensor again = Tensor::empty({11, width}, DType::bf16), over_g = g.clone(), over_u = u.clone();
          swiglu(one, {g, u, again, activation});
          QVERIFY(same_bits(again, y));
          swiglu_backward(one, {dy, over_g, over_u, over_g, over_u, activation});
          QVERIFY(same_bits(over_g, dg) && same_bits(over_u, du));
        }
    Context cx = context(CpuLevel::scalar);
    Tensor g = random_tensor({2, 4}, 1, DType::bf16), wide = Tensor::empty({2, 4}), y = Tensor::empty({2, 4}, DType::bf16);
    VERIFY_THROWS(swiglu(cx, {g, wide, y}), DTypeError, "up is f32");
    VERIFY_THROWS(swiglu(cx, {g, g, wide}), DTypeError, "y is f32");
    VERIFY_THROWS(swiglu_backward(cx, {wide, g, g, y, y}), DTypeError, "an operand is f32");
  }
};

LORIKEET_TEST_MAIN(SwigluTest)
#include "swiglu_test.moc"
