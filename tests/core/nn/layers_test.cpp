#include "core/nn/layers.h"

#include <cmath>
#include <functional>

#include "core/base/error.h"
#include "core/nn/linear.h"
#include "core/ops/cpu_kernels.h"
#include "core/tensor/host_arena.h"
#include "tests/core/models/tiny_model.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

double dot(const Tensor& a, const Tensor& b) {
  double s = 0;
  for (int64_t i = 0; i < a.size(); ++i) s += a.data<double>()[i] * b.data<double>()[i];
  return s;
}

/// Builds the function under test from its inputs; every input is a leaf that needs a gradient.
using Function = std::function<Var(Tape&, const std::vector<Var>&)>;

Linear make_layer(int64_t out, int64_t in, int64_t rank, double dropout, bool bias) {
  MapSource source({{"w", random_tensor({out, in}, 50)}});
  Linear layer("model.layers.3.test", source.matrix("w", out, in, false),
               bias ? random_tensor({out}, 51, DType::f64) : Tensor());
  if (rank == 0) return layer;
  auto adapter = std::make_unique<LoraAdapter>();
  adapter->a = make_leaf(random_tensor({rank, in}, 52, DType::f64), true);
  adapter->b = make_leaf(random_tensor({out, rank}, 53, DType::f64), true);
  adapter->scale = 0.75f;
  adapter->dropout = static_cast<float>(dropout);
  layer.set_adapter(std::move(adapter));
  return layer;
}

}  // namespace

class LayersTest : public QObject {
  Q_OBJECT
  Context cx_{2};

  /// loss = <function(inputs), seed>: its derivative along a random direction of each leaf against central differences.
  void check(const std::vector<Tensor>& inputs, const Function& function, const std::vector<Var>& parameters = {}) {
    std::vector<Var> leaves;
    for (const Tensor& t : inputs) leaves.push_back(make_leaf(t, true));
    // Some layers write into their inputs' storage, so each run gets copies.
    const auto fresh = [&](std::vector<Var>& out) {
      for (const Var& v : leaves) out.push_back(make_leaf(v->value.clone(), true));
    };
    std::vector<Var> run;
    fresh(run);
    Tape tape(cx_, true);
    Var out = function(tape, run);
    const Tensor seed = random_tensor(out->value.shape(), 99, DType::f64);
    for (const Var& p : parameters) p->grad = Tensor();
    tape.backward(out, seed.clone());
    const auto loss = [&] {
      std::vector<Var> again;
      fresh(again);
      Tape silent(cx_, false);
      return dot(function(silent, again)->value, seed);
    };
    std::vector<std::pair<Var, Tensor>> wanted;
    for (size_t i = 0; i < leaves.size(); ++i) wanted.emplace_back(leaves[i], run[i]->grad);
    for (const Var& p : parameters) wanted.emplace_back(p, p->grad);
    for (auto& [leaf, grad] : wanted) {
      QVERIFY(grad.defined());
      const Tensor original = leaf->value, direction = random_tensor(original.shape(), 7, DType::f64);
      const double h = 1e-6;
      double sides[2];
      for (int side = 0; side < 2; ++side) {
        Tensor moved = original.clone();
        for (int64_t i = 0; i < moved.size(); ++i)
          moved.data<double>()[i] += (side ? -h : h) * direction.data<double>()[i];
        leaf->value = moved;
        sides[side] = loss();
      }
      leaf->value = original;
      const double numeric = (sides[0] - sides[1]) / (2 * h), analytic = dot(grad, direction);
      QVERIFY2(std::abs(numeric - analytic) <= 1e-6 * std::max(1.0, std::abs(numeric)),
               qPrintable(QString("numeric %1 analytic %2").arg(numeric, 0, 'g', 12).arg(analytic, 0, 'g', 12)));
    }
  }
  static Tensor f64(Shape shape, uint64_t seed) { return random_tensor(std::move(shape), seed, DType::f64); }

 private slots:
  void initTestCase() { register_cpu_kernels(); }

  void rmsNormMatchesFiniteDifferences() {
    const Tensor weight = f64({12}, 2);
    check({f64({5, 12}, 1)}, [&](Tape& t, const std::vector<Var>& in) { return rms_norm(t, in[0], weight, 1e-5, {DType::f64}); });
  }
  void layerNormMatchesFiniteDifferences() {
    const Tensor weight = f64({12}, 2), bias = f64({12}, 3);
    check({f64({5, 12}, 1)}, [&](Tape& t, const std::vector<Var>& in) { return layer_norm(t, in[0], weight, bias, 1e-5, {DType::f64}); });
    check({f64({5, 12}, 1)}, [&](Tape& t, const std::vector<Var>& in) { return layer_norm(t, in[0], weight, {}, 1e-5, {DType::f64}); });
  }
  // Both readers of the norm's output, the first of which gets it made again, and a residual stream that gets two gradients.
  void aLayerNormInABlockMatchesFiniteDifferences() {
    const Linear layer = make_layer(12, 12, 2, 0, true);
    const Tensor weight = f64({12}, 2), bias = f64({12}, 3);
    for (bool remake : {false, true})
      check({f64({5, 12}, 1)},
            [&](Tape& t, const std::vector<Var>& in) {
              const Var h = layer_norm(t, in[0], weight, bias, 1e-5, {DType::f64, remake});
              return linear(t, layer, h, {.training = true, .dropout_seed = 5, .residual = in[0]});
            },
            {layer.adapter()->a, layer.adapter()->b});
  }
  void ropeMatchesFiniteDifferences() {
    const Tensor positions = Tensor::from<int32_t>({0, 1, 2, 0, 1}, {5});
    const Tensor table = f64({4, 6}, 3);  // any table: the gradient is the transposed map only for true rotations
    Tensor turns = table.clone();
    for (int64_t p = 0; p < 4; ++p)
      for (int64_t j = 0; j < 3; ++j) {
        turns.row<double>(p)[j] = std::cos(table.row<double>(p)[j] * 9);
        turns.row<double>(p)[j + 3] = std::sin(table.row<double>(p)[j] * 9);
      }
    check({f64({5, 12}, 1)}, [&](Tape& t, const std::vector<Var>& in) { return rope(t, in[0], positions, turns, 6, DType::f64); });
  }
  void attentionMatchesFiniteDifferences() {
    const Tensor starts = Tensor::from<int32_t>({0, 4, 5, 11}, {4});
    Rotation turn{Tensor::from<int32_t>({0, 1, 2, 3, 0, 0, 1, 2, 3, 4, 5}, {11}), Tensor::empty({6, 6}, DType::f64), DType::f64};
    for (int64_t p = 0; p < 6; ++p)
      for (int64_t j = 0; j < 3; ++j) {
        turn.cos_sin.row<double>(p)[j] = std::cos(static_cast<double>(p * (j + 1)) * 0.4);
        turn.cos_sin.row<double>(p)[j + 3] = std::sin(static_cast<double>(p * (j + 1)) * 0.4);
      }
    for (const int64_t groups : {1, 2})
      check({f64({11, 24}, 1), f64({11, 12}, 2), f64({11, 12}, 3)}, [&](Tape& t, const std::vector<Var>& in) {
        return rotary_attention(t, in[0], in[1], in[2], turn, starts, {4, 2, 6, 0.4}, groups);
      });
  }
  void swigluMatchesFiniteDifferences() {
    check({f64({4, 9}, 1), f64({4, 9}, 2)}, [](Tape& t, const std::vector<Var>& in) { return swiglu(t, in[0], in[1]); });
  }
  void linearMatchesFiniteDifferences_data() {
    QTest::addColumn<int>("rank");
    QTest::addColumn<double>("dropout");
    QTest::addColumn<bool>("bias");
    QTest::newRow("frozen") << 0 << 0.0 << true;
    QTest::newRow("adapter") << 3 << 0.0 << false;
    QTest::newRow("adapter, dropout and bias") << 2 << 0.4 << true;
  }
  void linearMatchesFiniteDifferences() {
    QFETCH(int, rank);
    QFETCH(double, dropout);
    QFETCH(bool, bias);
    const Linear layer = make_layer(7, 10, rank, dropout, bias);
    std::vector<Var> parameters;
    if (rank) parameters = {layer.adapter()->a, layer.adapter()->b};
    check(
        {f64({6, 10}, 1)}, [&](Tape& t, const std::vector<Var>& in) { return linear(t, layer, in[0], {true, 5}); },
        parameters);
  }
  void aLayerOntoTheResidualMatchesFiniteDifferences_data() { linearMatchesFiniteDifferences_data(); }
  void aLayerOntoTheResidualMatchesFiniteDifferences() {
    QFETCH(int, rank);
    QFETCH(double, dropout);
    QFETCH(bool, bias);
    const Linear layer = make_layer(7, 10, rank, dropout, bias);
    std::vector<Var> parameters;
    if (rank) parameters = {layer.adapter()->a, layer.adapter()->b};
    const auto onto = [&](Tape& t, const Var& x, const Var& residual) { return linear(t, layer, x, {.training = true, .dropout_seed = 5, .residual = residual}); };
    check({f64({6, 10}, 1), f64({6, 7}, 2)}, [&](Tape& t, const std::vector<Var>& in) { return onto(t, in[0], in[1]); }, parameters);
    // Only the residual stream asks for a gradient; the adapter's are wanted all the same.
    const Var x = make_leaf(f64({6, 10}, 3), false);
    check({f64({6, 7}, 2)}, [&](Tape& t, const std::vector<Var>& in) { return onto(t, x, in[0]); }, parameters);
  }
  void aGatedLayerMatchesFiniteDifferences() {
    const Linear layer = make_layer(9, 10, 2, 0, true);
    for (GateActivation activation : {GateActivation::silu, GateActivation::gelu_tanh})
      for (bool remake : {false, true})
        check({f64({6, 10}, 1), f64({6, 9}, 2)},
              [&](Tape& t, const std::vector<Var>& in) { return gated_linear(t, layer, in[0], in[1], activation, remake, {.training = true, .dropout_seed = 5, .remake = remake}); },
              {layer.adapter()->a, layer.adapter()->b});
  }
  void layersOnOneInputAddTheirGradients() {
    const Linear first = make_layer(7, 10, 2, 0, false), second = make_layer(7, 10, 0, 0, false);
    check({f64({6, 10}, 1)},
          [&](Tape& t, const std::vector<Var>& in) {
            const Var a = linear(t, first, in[0], {true, 5});
            const Var b = linear(t, second, in[0], {.training = true, .dropout_seed = 5, .residual = a});
            return linear(t, first, in[0], {.training = true, .dropout_seed = 5, .residual = b});
          },
          {first.adapter()->a, first.adapter()->b});
  }
  void dropoutMaskDependsOnSeedAndNameOnly() {
    const Linear layer = make_layer(7, 10, 2, 0.5, false);
    const auto run = [&](uint64_t seed, bool training) {
      Tape tape(cx_, false);
      return linear(tape, layer, make_leaf(f64({6, 10}, 1), false), {training, seed})->value;
    };
    QVERIFY(same_bits(run(1, true), run(1, true)));
    QVERIFY(!same_bits(run(1, true), run(2, true)));
    QVERIFY(same_bits(run(1, false), run(2, false)));
    QVERIFY(!same_bits(run(1, true), run(1, false)));
  }
  void aDisabledAdapterLeavesTheFrozenLayer() {
    Linear layer = make_layer(7, 10, 2, 0, true), frozen = make_layer(7, 10, 0, 0, true);
    layer.adapter()->enabled = false;
    Tape tape(cx_, true);
    Var x = make_leaf(f64({6, 10}, 1), false);
    Var y = linear(tape, layer, x, {true, 1});
    QVERIFY(!y->needs_grad);
    QVERIFY(same_bits(y->value, linear(tape, frozen, x, {true, 1})->value));
  }
  void aFrozenLayerKeepsNothing() {
    const Linear layer = make_layer(256, 512, 0, 0, false);
    Tape tape(cx_, true);
    Var x = make_leaf(random_tensor({128, 512}, 1), true);
    Var y = linear(tape, layer, x, {true, 1});
    const uint64_t before = arena_statistics().live_bytes;
    Tape::forget(x);
    Tape::forget(y);
    QCOMPARE(before - arena_statistics().live_bytes, uint64_t{128 * (512 + 256) * 4});
  }
};

LORIKEET_TEST_MAIN(LayersTest)
#include "layers_test.moc"
