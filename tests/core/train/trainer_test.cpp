#include "core/train/trainer.h"

#include <chrono>
#include <cmath>
#include <limits>
#include <thread>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/ops/cpu_kernels.h"
#include "tests/core/models/tiny_model.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

/// A tiny model with an adapter, its optimizer and trainer.
struct Bench {
  Context cx;
  std::unique_ptr<Model> model;
  std::vector<NamedParameter> parameters;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<Trainer> trainer;

  explicit Bench(int threads, double dropout = 0, TrainerOptions options = {}, const std::string& format = {})
      : cx(threads) {
    ModelConfig config = tiny_config();
    config.hidden_size = 64;
    MapSource source(random_weights(config, 21));
    source.format = format;
    model = models().get("LlamaForCausalLM")(config, source, {});
    attach_random(*model, 4, 33, DType::f32, dropout);
    parameters = methods().get("lora")->parameters(*model);
    optimizer = optimizers().get("adamw").make(parameters, {});
    trainer = std::make_unique<Trainer>(cx, *model, parameters, *optimizer, options);
  }
  std::vector<Tensor> values() const {
    std::vector<Tensor> out;
    for (const auto& p : parameters) out.push_back(p.var->value.clone());
    return out;
  }
};

bool all_same_bits(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  for (size_t i = 0; i < a.size(); ++i)
    if (!same_bits(a[i], b[i])) return false;
  return a.size() == b.size();
}

/// Eight rows of unequal length and unequal numbers of targets.
std::vector<TokenBatch> rows() {
  std::vector<TokenBatch> out;
  const int lengths[] = {5, 31, 12, 2, 23, 9, 17, 3};
  for (uint64_t i = 0; i < 8; ++i)
    out.push_back(random_batch({lengths[i]}, tiny_config().vocab_size, 40 + i, i % 2 ? 0.9 : 0.2));
  return out;
}
std::vector<TokenBatch> grouped(size_t per_micro_batch) {
  const auto all = rows();
  std::vector<TokenBatch> out;
  for (size_t i = 0; i < all.size(); i += per_micro_batch)
    out.push_back(concatenated({all.begin() + static_cast<std::ptrdiff_t>(i),
                                all.begin() + static_cast<std::ptrdiff_t>(i + per_micro_batch)}));
  return out;
}

}  // namespace

class TrainerTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_cpu_kernels(); }

  // 1 x 8 = 2 x 4 = 4 x 2 = 8 x 1 although rows differ in length and in how many targets they hold.
  void accumulationDoesNotDependOnTheSplit() {
    Bench whole(2);
    std::vector<StepResult> wanted;
    for (int64_t step = 0; step < 3; ++step) wanted.push_back(whole.trainer->train_step(grouped(8), 1e-3, step, {}));
    for (size_t per : {4, 2, 1}) {
      Bench split(2);
      for (int64_t step = 0; step < 3; ++step) {
        const StepResult got = split.trainer->train_step(grouped(per), 1e-3, step, {});
        const StepResult& want = wanted[static_cast<size_t>(step)];
        QVERIFY(std::abs(got.loss / want.loss - 1) <= 1e-6);
        QVERIFY(std::abs(got.grad_norm / want.grad_norm - 1) <= 1e-5);
        QVERIFY(got.tokens == want.tokens && got.target_tokens == want.target_tokens);
      }
    }
  }
  void lossIsPerTargetOfTheWholeStep() {
    Bench bench(1);
    double sum = 0;
    int64_t count = 0, tokens = 0;
    for (const TokenBatch& row : rows()) {
      const auto [loss, targets] = bench.trainer->evaluate(row);
      sum += loss;
      count += targets;
      tokens += row.tokens();
    }
    const StepResult got = bench.trainer->train_step(grouped(2), 0, 0, {});
    QVERIFY(std::abs(got.loss - sum / static_cast<double>(count)) < 1e-6);
    QCOMPARE(got.target_tokens, count);
    QCOMPARE(got.tokens, tokens);
  }
  void everyBitRepeats_data() {
    QTest::addColumn<int>("threads");
    QTest::addColumn<bool>("checkpointing");
    QTest::newRow("same again") << 1 << false;
    QTest::newRow("two threads") << 2 << false;
    QTest::newRow("three threads") << 3 << false;
    QTest::newRow("checkpointing") << 1 << true;
  }
  void everyBitRepeats() {
    QFETCH(int, threads);
    QFETCH(bool, checkpointing);
    TrainerOptions options;
    options.policy = checkpointing ? CheckpointPolicy::full : CheckpointPolicy::none;
    Bench first(1, 0.2, {}, "nf4"), second(threads, 0.2, options, "nf4");
    for (int64_t step = 0; step < 3; ++step) {
      const StepResult a = first.trainer->train_step(grouped(4), 1e-3, step, {}),
                       b = second.trainer->train_step(grouped(4), 1e-3, step, {});
      QCOMPARE(b.loss, a.loss);
      QCOMPARE(b.grad_norm, a.grad_norm);
    }
    QVERIFY(all_same_bits(first.values(), second.values()));
  }
  // Groups deal out the micro-batches: losses are the same numbers, gradients but for the order of a sum of groups, and
  // with the same groups every bit repeats.
  void groupsGiveTheSameSteps_data() {
    QTest::addColumn<int>("groups");
    QTest::addColumn<int>("threads");
    QTest::addColumn<bool>("checkpointing");
    QTest::addColumn<bool>("bf16");
    QTest::newRow("two groups") << 2 << 2 << false << false;
    QTest::newRow("two groups, checkpointing") << 2 << 2 << true << false;
    QTest::newRow("two groups, bf16") << 2 << 2 << false << true;
    QTest::newRow("three groups of four threads") << 3 << 4 << false << false;
    QTest::newRow("more groups than batches") << 5 << 5 << false << false;
  }
  void groupsGiveTheSameSteps() {
    QFETCH(int, groups);
    QFETCH(int, threads);
    QFETCH(bool, checkpointing);
    QFETCH(bool, bf16);
    TrainerOptions options;
    options.policy = checkpointing ? CheckpointPolicy::full : CheckpointPolicy::none;
    Bench one(1, 0.2, options, "nf4"), many(threads, 0.2, options, "nf4"), again(threads, 0.2, options, "nf4");
    for (Bench* b : {&one, &many, &again}) b->cx.set_compute(bf16 ? ComputeType::bf16 : ComputeType::f32);
    for (Bench* b : {&many, &again}) b->trainer->use_groups(make_thread_groups(groups, b->cx, false, read_topology()));
    for (int64_t step = 0; step < 4; ++step) {
      const StepResult a = one.trainer->train_step(grouped(2), 1e-3, step, {}), b = many.trainer->train_step(grouped(2), 1e-3, step, {}),
                       c = again.trainer->train_step(grouped(2), 1e-3, step, {});
      if (step == 0) QCOMPARE(b.loss, a.loss);
      // A parameter one rounding away may round its bf16 operands the other way.
      QVERIFY(std::abs(b.loss / a.loss - 1) < (bf16 ? 1e-3 : 1e-5));
      QVERIFY(std::abs(b.grad_norm / a.grad_norm - 1) < (bf16 ? 1e-2 : 1e-5));
      QVERIFY(b.target_tokens == a.target_tokens && b.tokens == a.tokens);
      QCOMPARE(c.loss, b.loss);
      QCOMPARE(c.grad_norm, b.grad_norm);
    }
    QVERIFY(all_same_bits(many.values(), again.values()));
    const auto wanted = one.values(), got = many.values();
    for (size_t i = 0; i < wanted.size(); ++i) QVERIFY(max_abs_difference(got[i], wanted[i]) < (bf16 ? 1e-3 : 2e-5));  // steps of 1e-3
  }
  void aGroupThatFailsOrIsStoppedChangesNothing() {
    Bench bench(2);
    bench.trainer->use_groups(make_thread_groups(2, bench.cx, true, read_topology()));
    const auto before = bench.values();
    std::stop_source stop;
    stop.request_stop();
    VERIFY_THROWS(bench.trainer->train_step(grouped(2), 1e-2, 0, stop.get_token()), Interrupted, "stopped");
    auto batches = grouped(2);
    batches[3].ids[0] = 1 << 30;  // in the second group
    VERIFY_THROWS(bench.trainer->train_step(batches, 1e-2, 0, {}), Error, "");
    QVERIFY(all_same_bits(before, bench.values()));
    bench.parameters[3].var->value.data<float>()[2] = std::numeric_limits<float>::quiet_NaN();
    QVERIFY(!bench.trainer->train_step(grouped(2), 1e-2, 0, {}).finite);
    QCOMPARE(bench.optimizer->steps_done(), int64_t{0});
    for (const auto& p : bench.parameters) QVERIFY(!p.var->grad.defined());
  }
  void groupsShareTheThreads() {
    Context whole(5);
    whole.set_compute(ComputeType::bf16);
    const ThreadGroups groups = make_thread_groups(2, whole, true, read_topology());
    QCOMPARE(groups[0].cx->threads(), 3);
    QCOMPARE(groups[1].cx->threads(), 2);
    QVERIFY(groups[1].cx->unit().compute == ComputeType::bf16 && groups[1].cx->level() == whole.level());
    QCOMPARE(groups[0].cpus.size(), size_t{3});
    Topology nodes;  // as many groups as nodes: each has its node's CPUs
    nodes.cpus = {{0, 0, 0, 0}, {1, 1, 1, 3}};
    nodes.nodes_with_memory = {0, 3};
    QVERIFY(make_thread_groups(2, whole, false, nodes)[1].cpus == std::vector<int>{1});
    QVERIFY(make_thread_groups(3, whole, false, nodes)[1].cpus.empty());
    VERIFY_THROWS(make_thread_groups(6, whole, false, nodes), ConfigError, "6 groups cannot be made of 5 threads");
    VERIFY_THROWS(make_thread_groups(0, whole, false, nodes), ConfigError, "device.numa_groups");
  }
  void dropoutChangesWithStepAndSeed() {
    TrainerOptions other;
    other.seed = 7;
    Bench a(1, 0.3), b(1, 0.3, other);
    const double first = a.trainer->train_step(grouped(8), 0, 0, {}).loss;
    QCOMPARE(a.trainer->train_step(grouped(8), 0, 0, {}).loss, first);
    QVERIFY(a.trainer->train_step(grouped(8), 0, 1, {}).loss != first);
    QVERIFY(b.trainer->train_step(grouped(8), 0, 0, {}).loss != first);
  }
  void clippingBoundsTheUpdateAndReportsTheNormBefore() {
    TrainerOptions loose, tight;
    loose.max_grad_norm = 0;
    tight.max_grad_norm = 1e-3;
    Bench a(1, 0, loose), b(1, 0, tight);
    const double norm = a.trainer->train_step(grouped(8), 1e-3, 0, {}).grad_norm;
    QVERIFY(norm > 1e-2);
    QCOMPARE(b.trainer->train_step(grouped(8), 1e-3, 0, {}).grad_norm, norm);
    // The first moment is (1 - beta1) times the gradient used.
    double free = 0, clipped = 0;
    for (size_t i = 0; i < a.parameters.size(); ++i)
      for (int64_t k = 0; k < a.parameters[i].var->value.size(); ++k) {
        free += std::pow(static_cast<double>(a.optimizer->state()[i].second.data<float>()[k]), 2);
        clipped += std::pow(static_cast<double>(b.optimizer->state()[i].second.data<float>()[k]), 2);
      }
    QVERIFY(std::abs(std::sqrt(free) / (0.1 * norm) - 1) < 1e-5);
    QVERIFY(std::abs(std::sqrt(clipped) / (0.1 * 1e-3 * norm / (norm + 1e-6)) - 1) < 1e-5);
  }
  void frozenWeightsStayAsTheyAre() {
    Bench bench(2, 0, {}, "nf4");
    const auto frozen = [&] {
      std::vector<Tensor> out;
      for (Linear* linear : bench.model->linears()) {
        out.push_back(Tensor::empty({linear->out_features(), linear->in_features()}));
        linear->weight().decode_rows(0, linear->out_features(), out.back().data<float>(), linear->in_features());
      }
      out.push_back(Tensor::empty({bench.model->head().rows(), bench.model->head().columns()}));
      bench.model->head().decode_rows(0, out.back().dim(0), out.back().data<float>(), out.back().dim(1));
      return out;
    };
    const auto before = frozen(), trained = bench.values();
    for (int64_t step = 0; step < 5; ++step) bench.trainer->train_step(grouped(4), 1e-2, step, {});
    QVERIFY(all_same_bits(before, frozen()));
    QVERIFY(!all_same_bits(trained, bench.values()));
  }
  void aNonFiniteStepIsNotApplied() {
    Bench bench(1);
    bench.parameters[3].var->value.data<float>()[2] = std::numeric_limits<float>::quiet_NaN();
    const auto before = bench.values();
    const StepResult got = bench.trainer->train_step(grouped(4), 1e-2, 0, {});
    QVERIFY(!got.finite);
    QVERIFY(all_same_bits(before, bench.values()));
    QCOMPARE(bench.optimizer->steps_done(), int64_t{0});
    for (const auto& p : bench.parameters) QVERIFY(!p.var->grad.defined());
  }
  // Operands rounded to bf16: the loss and its gradient stay near those of f32, and every bit repeats.
  void bf16IsNearF32() {
    Bench f32(2, 0, {}, "nf4"), bf16(2, 0, {}, "nf4"), again(2, 0, {}, "nf4");
    bf16.cx.set_compute(ComputeType::bf16);
    again.cx.set_compute(ComputeType::bf16);
    for (int64_t step = 0; step < 3; ++step) {
      const StepResult a = f32.trainer->train_step(grouped(4), 1e-3, step, {}), b = bf16.trainer->train_step(grouped(4), 1e-3, step, {});
      QVERIFY(a.loss != b.loss);
      QVERIFY(std::abs(b.loss / a.loss - 1) < 5e-3);
      QVERIFY(std::abs(b.grad_norm / a.grad_norm - 1) < 2e-2);
      QCOMPARE(again.trainer->train_step(grouped(4), 1e-3, step, {}).loss, b.loss);
    }
    QVERIFY(all_same_bits(bf16.values(), again.values()));
  }
  void stoppingLeavesTheParameters() {
    Bench bench(1);
    const auto before = bench.values();
    std::stop_source stop;
    stop.request_stop();
    VERIFY_THROWS(bench.trainer->train_step(grouped(4), 1e-2, 8, stop.get_token()), Interrupted, "stopped");
    QVERIFY(all_same_bits(before, bench.values()));
    for (const auto& p : bench.parameters) QVERIFY(!p.var->grad.defined());
    // The next step is as if nothing had happened.
    Bench fresh(1);
    QCOMPARE(bench.trainer->train_step(grouped(4), 1e-2, 8, {}).loss,
             fresh.trainer->train_step(grouped(4), 1e-2, 8, {}).loss);
    QVERIFY(all_same_bits(fresh.values(), bench.values()));
  }
  // Whatever op the stop arrives in: the step is either whole or has left no trace.
  void stoppingInsideAMicroBatchLeavesTheParameters() {
    Bench bench(2);
    const TokenBatch batch = random_batch({400}, tiny_config().vocab_size, 77, 0.5);
    const auto timed = [&](std::stop_token stop) { return bench.trainer->train_step({batch}, 0, 0, stop); };
    const auto began = std::chrono::steady_clock::now();
    timed({});
    const auto whole = std::chrono::steady_clock::now() - began;
    const auto before = bench.values();
    int stopped = 0;
    for (int i = 0; i < 40; ++i) {
      std::stop_source stop;
      std::jthread other([&] {
        std::this_thread::sleep_for(whole * i / 40);
        stop.request_stop();
      });
      try {
        timed(stop.get_token());
      } catch (const Interrupted&) {
        ++stopped;
      }
      QVERIFY(all_same_bits(before, bench.values()));
      for (const auto& p : bench.parameters) QVERIFY(!p.var->grad.defined());
    }
    QVERIFY2(stopped > 5, qPrintable(QString("only %1 of 40 were stopped").arg(stopped)));
    QVERIFY(timed({}).finite);  // the token of the last step is forgotten
  }
  void aStepWithoutTargetsChangesNothing() {
    Bench bench(1);
    TokenBatch batch = rows()[1];
    for (int32_t& label : batch.labels) label = -100;
    const auto before = bench.values();
    const StepResult got = bench.trainer->train_step({batch}, 1e-2, 0, {});
    QVERIFY(got.target_tokens == 0 && got.tokens == 31 && got.finite);
    QVERIFY(all_same_bits(before, bench.values()));
    QCOMPARE(bench.trainer->evaluate(batch), (std::pair<double, int64_t>{0, 0}));
  }
  // Freshly attached adapters on NF4 weights learn 32 short examples by heart.
  void overfitsThirtyTwoExamples() {
    Bench bench(2, 0, {}, "nf4");
    AdapterSpec spec;
    spec.rank = 16;
    spec.target_modules = {"all-linear"};
    methods().get("lora")->attach(*bench.model, spec);
    const auto parameters = methods().get("lora")->parameters(*bench.model);
    const auto optimizer = optimizers().get("adamw").make(parameters, {});
    Trainer trainer(bench.cx, *bench.model, parameters, *optimizer, {});
    // A different first token decides each continuation, so that it can be learnt without error.
    std::vector<TokenBatch> examples;
    for (int32_t i = 0; i < 32; ++i) {
      TokenBatch one = random_batch({6}, tiny_config().vocab_size, 900 + static_cast<uint64_t>(i), 1.0);
      one.ids[0] = one.ids[1] = i;
      one.labels[1] = -100;
      for (size_t t = 2; t < 6; ++t) one.labels[t] = one.ids[t];
      examples.push_back(one);
    }
    const TokenBatch all = concatenated(examples);
    double loss = 0;
    int64_t step = 0;
    for (; step < 400; ++step) {
      loss = trainer.train_step({all}, 1e-2, step, {}).loss;
      if (loss < 0.1) break;
    }
    QVERIFY2(loss < 0.1, qPrintable(QString("loss %1 after %2 steps").arg(loss).arg(step)));
  }
};

LORIKEET_TEST_MAIN(TrainerTest)
#include "trainer_test.moc"
