#include "core/optim/adamw.h"

#include <cmath>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/ops/cpu_kernels.h"
#include "core/tensor/host_arena.h"
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
    const auto optimizer = optimizers().get("adamw").make(parameters, options_);
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
  // A matrix large enough for 8 bits with a last block that is not full, one below the bound, and a vector.
  static std::vector<NamedParameter> mixed_parameters() {
    return {{"a", make_leaf(random_tensor({33, 131}, 1), true)}, {"b", make_leaf(random_tensor({4095}, 2), true)}, {"c", make_leaf(random_tensor({7}, 3), true)}};
  }
  OptimizerOptions with_folder(const ScratchFolder& folder) const {
    OptimizerOptions o = options_;
    o.folder = folder.path();
    return o;
  }
  void everyOptimizerContinuesBitForBit_data() {
    QTest::addColumn<QString>("name");
    for (const std::string& name : optimizers().names()) QTest::newRow(name.c_str()) << QString::fromStdString(name);
  }
  void everyOptimizerContinuesBitForBit() {
    QFETCH(QString, name);
    const ScratchFolder folder;
    const OptimizerKind& kind = optimizers().get(name.toStdString());
    const auto whole = mixed_parameters(), resumed = mixed_parameters();
    const auto straight = kind.make(whole, with_folder(folder));
    auto before = kind.make(resumed, with_folder(folder));
    for (int t = 0; t < 6; ++t) {
      set_gradients(whole, static_cast<uint64_t>(t));
      set_gradients(resumed, static_cast<uint64_t>(t));
      straight->step(cx_, 0.1, 1);
      before->step(cx_, 0.1, 1);
      straight->rest();
      if (t != 2) continue;
      auto after = kind.make(resumed, with_folder(folder));
      after->load_state(before->state(), before->steps_done());
      before = std::move(after);
    }
    for (size_t i = 0; i < 3; ++i) QVERIFY(same_bits(whole[i].var->value, resumed[i].var->value));
    const auto a = straight->state(), b = before->state();
    QCOMPARE(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) QVERIFY(a[i].first == b[i].first && same_bits(a[i].second, b[i].second));
    uint64_t planned = 0;
    for (const auto& p : whole) planned += kind.state_bytes(p.var->value.size());
    QCOMPARE(straight->state_bytes(), planned);
    QVERIFY(fs::is_empty(folder.path()));
  }
  void whereTheStateLivesChangesNoBit() {
    const ScratchFolder folder;
    OptimizerOptions cut = with_folder(folder);
    cut.batch_bytes = 1 << 18;
    for (const char* name : {"adamw", "adamw8bit"}) {
      auto one = mixed_parameters(), two = mixed_parameters();
      for (auto* all : {&one, &two}) all->push_back({"large", make_leaf(random_tensor({317, 800}, 4), true)});
      const auto memory = optimizers().get(name).make(one, options_), file = optimizers().get(std::string("paged_") + name).make(two, cut);
      for (int t = 0; t < 4; ++t) {
        set_gradients(one, static_cast<uint64_t>(t));
        set_gradients(two, static_cast<uint64_t>(t));
        memory->step(cx_, 0.1, 0.7);
        file->step(cx_, 0.1, 0.7);
      }
      for (size_t i = 0; i < one.size(); ++i) QVERIFY(same_bits(one[i].var->value, two[i].var->value));
      const auto a = memory->state(), b = file->state();
      for (size_t i = 0; i < a.size(); ++i) QVERIFY(a[i].first == b[i].first && same_bits(a[i].second, b[i].second));
    }
  }
  void pagedStateIsNoMemory() {
    const ScratchFolder folder;
    const std::vector<NamedParameter> parameters = {{"a", make_leaf(Tensor::zeros({1000, 1000}), true)}};
    const uint64_t before = arena_statistics().live_bytes;
    const auto paged = make_paged_adamw(parameters, with_folder(folder));
    QCOMPARE(paged->state_bytes(), uint64_t{8'000'000});
    QCOMPARE(arena_statistics().live_bytes, before);
    const auto plain = make_adamw(parameters, options_);
    QVERIFY(arena_statistics().live_bytes >= before + 8'000'000);
  }
  void aFolderWithoutRoomIsToldAtOnce() {
    OptimizerOptions nowhere = options_;
    nowhere.folder = "/nowhere/at/all";
    VERIFY_THROWS(make_paged_adamw(mixed_parameters(), nowhere), IoError, "/nowhere/at/all: a file of");
  }
  void eightBitStateHasItsParts() {
    const auto optimizer = make_adamw8bit(mixed_parameters(), options_);
    auto state = optimizer->state();
    QStringList found;
    for (const auto& [name, t] : state) found << QString::fromStdString(name + " " + std::string(dtype_name(t.dtype())) + " " + to_string(t.shape()));
    QCOMPARE(found.join(", "), QString("exp_avg.a u8 [33, 131], exp_avg.b f32 [4095], exp_avg.c f32 [7], exp_avg_absmax.a f32 [17], "
                                       "exp_avg_sq.a u8 [33, 131], exp_avg_sq.b f32 [4095], exp_avg_sq.c f32 [7], exp_avg_sq_absmax.a f32 [17]"));
    VERIFY_THROWS(make_adamw(mixed_parameters(), options_)->load_state(state, 1), RunError, "exp_avg.a is [33, 131] u8; wanted [33, 131] f32");
    state.pop_back();
    VERIFY_THROWS(optimizer->load_state(state, 1), RunError, "exp_avg_sq_absmax.a is missing");
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
    QCOMPARE(gradient_norm(cx_, parameters), 0.0);
    parameters[0].var->grad = Tensor::zeros({3, 5});
    parameters[0].var->grad.data<float>()[14] = 3;
    parameters[1].var->grad = Tensor::from<float>({0, 4, 0, 12}, {4});
    QCOMPARE(gradient_norm(cx_, parameters), 13.0);
    parameters[1].var->grad.data<float>()[0] = std::nanf("");
    QVERIFY(std::isnan(gradient_norm(cx_, parameters)));
  }
};

LORIKEET_TEST_MAIN(AdamwTest)
#include "adamw_test.moc"
