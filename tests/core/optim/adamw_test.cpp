#include "core/optim/adamw.h"

#include <cmath>

#include "core/base/error.h"
#include "core/ops/cpu_kernels.h"
#include "tests/core/models/tiny_model.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

std::vector<NamedParameter> make_parameters() {
  return {{"a", make_leaf(random_tensor({3, 5}, 1), true)}, {"b", make_leaf(random_tensor({4}, 2), true)}};
}
void set_gradients(const std::vector<NamedParameter>& parameters, uint64_t seed) {
  for (const auto& p : parameters) p.var->grad = random_tensor(p.var->value.shape(), seed++);
}

}  // namespace

class AdamwTest : public QObject {
  Q_OBJECT
  Context cx_{1};
  const OptimizerOptions options_{0.9, 0.95, 1e-8, 0.1};

 private slots:
  void initTestCase() { register_cpu_kernels(); }

  // Three steps of one element against the formula of Loshchilov & Hutter in f64, with clipping.
  void followsTheFormula() {
    const auto parameters = make_parameters();
    const auto optimizer = optimizers().get("adamw")(parameters, options_);
    double p = static_cast<double>(parameters[0].var->value.data<float>()[7]), m = 0, v = 0;
    for (int t = 1; t <= 3; ++t) {
      set_gradients(parameters, static_cast<uint64_t>(10 * t));
      const double g = 0.5 * static_cast<double>(parameters[0].var->grad.data<float>()[7]), rate = 0.01 * t;
      optimizer->step(cx_, rate, 0.5);
      m = 0.9 * m + 0.1 * g;
      v = 0.95 * v + 0.05 * g * g;
      p -= rate * 0.1 * p;
      p -= rate * (m / (1 - std::pow(0.9, t))) / (std::sqrt(v / (1 - std::pow(0.95, t))) + 1e-8);
      QVERIFY(std::abs(static_cast<double>(parameters[0].var->value.data<float>()[7]) - p) < 1e-6);
    }
    QCOMPARE(optimizer->steps_done(), int64_t{3});
    QCOMPARE(optimizer->state_bytes(), uint64_t{19 * 8});
  }
  void aMissingGradientIsZero() {
    const auto one = make_parameters(), two = make_parameters();
    const auto first = make_adamw(one, options_), second = make_adamw(two, options_);
    for (int t = 0; t < 2; ++t) {
      set_gradients(one, 5);
      set_gradients(two, 5);
      one[1].var->grad = Tensor::zeros({4});
      two[1].var->grad = Tensor();
      first->step(cx_, 0.1, 1);
      second->step(cx_, 0.1, 1);
    }
    for (size_t i = 0; i < 2; ++i) QVERIFY(same_bits(one[i].var->value, two[i].var->value));
  }
  void aLoadedStateContinuesBitForBit() {
    const auto whole = make_parameters(), resumed = make_parameters();
    const auto straight = make_adamw(whole, options_);
    auto before = make_adamw(resumed, options_);
    for (int t = 0; t < 6; ++t) {
      set_gradients(whole, static_cast<uint64_t>(t));
      set_gradients(resumed, static_cast<uint64_t>(t));
      straight->step(cx_, 0.1, 1);
      before->step(cx_, 0.1, 1);
      if (t != 2) continue;
      auto after = make_adamw(resumed, options_);
      after->load_state(before->state(), before->steps_done());
      before = std::move(after);
    }
    for (size_t i = 0; i < 2; ++i) QVERIFY(same_bits(whole[i].var->value, resumed[i].var->value));
    const auto a = straight->state(), b = before->state();
    QCOMPARE(a.size(), size_t{4});
    QCOMPARE(a[0].first, std::string("exp_avg.a"));
    QCOMPARE(a[3].first, std::string("exp_avg_sq.b"));
    for (size_t i = 0; i < 4; ++i) QVERIFY(a[i].first == b[i].first && same_bits(a[i].second, b[i].second));
  }
  void refusesAStateThatDoesNotFit() {
    const auto optimizer = make_adamw(make_parameters(), options_);
    auto state = optimizer->state();
    state.pop_back();
    VERIFY_THROWS(optimizer->load_state(state, 1), RunError, "exp_avg_sq.b is missing");
    state.emplace_back("exp_avg_sq.b", Tensor::zeros({5}));
    VERIFY_THROWS(optimizer->load_state(state, 1), RunError, "wanted [4]");
    state.back().second = Tensor::zeros({4}, DType::f64);
    VERIFY_THROWS(optimizer->load_state(state, 1), RunError, "exp_avg_sq.b");
    VERIFY_THROWS(optimizer->load_state(optimizer->state(), -1), RunError, "-1");
    QCOMPARE(optimizer->steps_done(), int64_t{0});
  }
  void normIsOverAllGradients() {
    const auto parameters = make_parameters();
    QCOMPARE(gradient_norm(parameters), 0.0);
    parameters[0].var->grad = Tensor::zeros({3, 5});
    parameters[0].var->grad.data<float>()[14] = 3;
    parameters[1].var->grad = Tensor::from<float>({0, 4, 0, 12}, {4});
    QCOMPARE(gradient_norm(parameters), 13.0);
    parameters[1].var->grad.data<float>()[0] = std::nanf("");
    QVERIFY(std::isnan(gradient_norm(parameters)));
  }
};

LORIKEET_TEST_MAIN(AdamwTest)
#include "adamw_test.moc"
