#include "core/ops/adamw_update.h"

#include "core/base/error.h"
#include "tests/core/ops/op_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

struct State { std::vector<double> p, m, v; };
// torch's AdamW, single tensor, written out.
void reference(State& s, const std::vector<double>& g, double clip, double lr, double b1, double b2, double eps, double decay, int64_t step) {
  for (size_t i = 0; i < g.size(); ++i) {
    const double grad = g[i] * clip;
    s.p[i] -= lr * decay * s.p[i];
    s.m[i] = b1 * s.m[i] + (1 - b1) * grad;
    s.v[i] = b2 * s.v[i] + (1 - b2) * grad * grad;
    const double m_hat = s.m[i] / (1 - std::pow(b1, static_cast<double>(step)));
    const double denominator = std::sqrt(s.v[i]) / std::sqrt(1 - std::pow(b2, static_cast<double>(step))) + eps;
    s.p[i] -= lr * m_hat / denominator;
  }
}

}  // namespace

class AdamwUpdateTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_cpu_kernels(); }
  void followsTorchOverManySteps_data() { level_rows(); }
  void followsTorchOverManySteps() {
    QFETCH(int, level);
    QFETCH(int, type);
    const auto t = static_cast<DType>(type);
    Context cx = context(static_cast<CpuLevel>(level));
    for (const Shape& shape : {Shape{1, 1}, Shape{7, 33}, Shape{16, 2100}, Shape{65}}) {
      Tensor p = random_tensor(shape, 1, t), m = Tensor::zeros(shape, t), v = Tensor::zeros(shape, t);
      State s{values(p), values(m), values(v)};
      for (int64_t step = 1; step <= 20; ++step) {
        const Tensor g = random_tensor(shape, 100 + static_cast<uint64_t>(step), t, 0.1);
        adamw_update(cx, {{{p, g, m, v}}, 0.5, 1e-2, 0.9, 0.999, 1e-8, 0.05, step});
        reference(s, values(g), 0.5, 1e-2, 0.9, 0.999, 1e-8, 0.05, step);
      }
      VERIFY_SMALL(relative_l2(p, f64(s.p, shape)), tolerance(t));
      VERIFY_SMALL(relative_l2(m, f64(s.m, shape)), tolerance(t));
      VERIFY_SMALL(relative_l2(v, f64(s.v, shape)), tolerance(t));
    }
  }
  void aGradientOfZeroOnlyDecays() {
    for (CpuLevel level : cpu_probe().available) {
      Context cx = context(level);
      Tensor p = Tensor::from(std::vector<float>(20, 2), {20}), g = Tensor::zeros({20}), m = Tensor::zeros({20}), v = Tensor::zeros({20});
      adamw_update(cx, {{{p, g, m, v}}, 1, 0.1, 0.9, 0.999, 1e-8, 0.5, 1});
      for (const float x : p.to_vector<float>()) QCOMPARE(x, 1.9f);
    }
  }
  void threadsChangeNoBit() {
    for (CpuLevel level : cpu_probe().available) {
      Tensor first;
      for (int threads : {1, 2, 3}) {
        Context cx = context(level, threads);
        Tensor p = random_tensor({40, 1001}, 1), g = random_tensor({40, 1001}, 2), m = Tensor::zeros({40, 1001}), v = Tensor::zeros({40, 1001});
        for (int64_t step = 1; step < 4; ++step) adamw_update(cx, {{{p, g, m, v}}, 1, 1e-3, 0.9, 0.999, 1e-8, 0.01, step});
        if (!first.defined()) first = p;
        QVERIFY(same_bits(first, p));
      }
    }
  }
  void refusesWhatDoesNotFit() {
    Context cx = context(CpuLevel::scalar);
    Tensor p = random_tensor({2, 4}, 1), g = random_tensor({2, 4}, 2), m = Tensor::zeros({2, 4}), v = Tensor::zeros({2, 4}), other = Tensor::zeros({4, 2}), wide = Tensor::zeros({2, 4}, DType::f64), half = p.to(DType::bf16);
    VERIFY_THROWS(adamw_update(cx, {{{p, other, m, v}}, 1, 1e-3, 0.9, 0.999, 1e-8, 0, 1}), ShapeError, "[4, 2]");
    VERIFY_THROWS(adamw_update(cx, {{{p, g, m, wide}}, 1, 1e-3, 0.9, 0.999, 1e-8, 0, 1}), DTypeError, "f64");
    VERIFY_THROWS(adamw_update(cx, {{{half, g, m, v}}, 1, 1e-3, 0.9, 0.999, 1e-8, 0, 1}), DTypeError, "bf16");
    Tensor gaps = strided(p);
    VERIFY_THROWS(adamw_update(cx, {{{gaps, g, m, v}}, 1, 1e-3, 0.9, 0.999, 1e-8, 0, 1}), ShapeError, "gaps");
    VERIFY_THROWS(adamw_update(cx, {{{p, g, m, v}}, 1, 1e-3, 0.9, 0.999, 1e-8, 0, 0}), ShapeError, "step 0");
  }
};

LORIKEET_TEST_MAIN(AdamwUpdateTest)
#include "adamw_update_test.moc"
