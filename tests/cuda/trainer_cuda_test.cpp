// Whole training steps through the CUDA code path: against transformers + PEFT, and against the CPU backend.
#include <cmath>

#include "core/base/random.h"
#include "core/optim/schedule.h"
#include "core/train/trainer.h"
#include "tests/core/train/parity_fixture.h"
#include "tests/cuda/cuda_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

/// A random model with an adapter, on a device, and an optimizer for it.
struct Run {
  Context cx;
  std::unique_ptr<Model> model;
  std::vector<NamedParameter> parameters;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<Trainer> trainer;

  Run(DeviceType device, const ModelConfig& config, const std::string& format, ComputeType compute, CheckpointPolicy policy, const char* optimizer_name = "adamw",
      double dropout = 0)
      : cx(2, device) {
    cx.set_compute(compute);
    MapSource source(random_weights(config, 5));
    source.format = format;
    WeightsOn on_device(source, device);
    model = models().get("LlamaForCausalLM")(config, on_device, {});
    AdapterSpec spec;
    spec.rank = 6;
    spec.alpha = 12;
    spec.dropout = dropout;
    spec.target_modules = {"all-linear"};
    const Method& lora = *methods().get("lora");
    lora.attach(*model, spec);
    parameters = lora.parameters(*model);
    for (size_t i = 0; i < parameters.size(); ++i)  // B too, so that every gradient is alive
      parameters[i].var->value.copy_from(random_tensor(parameters[i].var->value.shape(), 100 + i, DType::f32, 0.05));
    optimizer = optimizers().get(optimizer_name).make(parameters, {.folder = folder_.path()});
    trainer = std::make_unique<Trainer>(cx, *model, parameters, *optimizer, TrainerOptions{1, policy, 7});
  }
  std::vector<double> losses(int steps) {
    std::vector<double> out;
    for (int k = 0; k < steps; ++k) {
      const StepResult r = trainer->train_step({random_batch({17, 1, 30}, model->config().vocab_size, 50 + static_cast<uint64_t>(k % 3)), random_batch({40}, model->config().vocab_size, 60)}, 2e-3, k, {});
      out.push_back(r.loss);
    }
    return out;
  }

 private:
  ScratchFolder folder_;
};

ModelConfig config_of(int64_t head_dim) {
  ModelConfig c = tiny_config();
  c.head_dim = head_dim;
  return c;
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::isfinite(a[i]) ? std::max(worst, std::abs(a[i] - b[i])) : HUGE_VAL;
  return worst;
}

}  // namespace

class TrainerCudaTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { LORIKEET_NEEDS_GPU(); }

  void twentyStepsAgreeWithTransformers_data() {
    QTest::addColumn<QString>("name");
    for (const char* name : kParityFixtures) QTest::newRow(name) << name;
  }
  void twentyStepsAgreeWithTransformers() {
    QFETCH(QString, name);
    ParityFixture f(name.toStdString(), DeviceType::cuda);
    const auto optimizer = optimizers().get("adamw").make(f.parameters, {0.9, 0.999, 1e-8, f.settings["weight_decay"]});
    Trainer trainer(f.cx, *f.model, f.parameters, *optimizer, {f.settings["max_norm"], CheckpointPolicy::norms_swiglu, 1});
    ScheduleSpec schedule{"cosine", f.settings["peak"], f.settings["steps"], 0};
    schedule.warmup_steps = warmup_length(0, f.settings["warmup_ratio"], schedule.total_steps);
    double worst = 0;
    for (int64_t k = 0; k < schedule.total_steps; ++k) {
      const StepResult got = trainer.train_step(f.step(k), learning_rate(schedule, k), k, {});
      worst = std::max(worst, std::abs(got.loss - f.expected.at("step_losses").data<double>()[k]));
      QVERIFY(std::abs(got.grad_norm / f.expected.at("grad_norms").data<double>()[k] - 1) < 1e-3);
    }
    qInfo("largest loss difference over the steps: %g", worst);
    QVERIFY2(worst < 2e-4, qPrintable(QString::number(worst)));
    for (const auto& p : f.parameters) QVERIFY(relative_l2(on_cpu(p.var->value), f.expected.at("final." + p.name)) < 1e-3);
  }

  void twentyStepsAgreeWithTheCpu_data() {
    QTest::addColumn<QString>("format");
    QTest::addColumn<QString>("compute");
    QTest::addColumn<int>("head_dim");
    QTest::addColumn<QString>("optimizer");
    QTest::addColumn<double>("dropout");
    QTest::addColumn<double>("bound");
    QTest::newRow("nf4 f32") << "nf4" << "f32" << 8 << "adamw" << 0.0 << 1e-4;
    QTest::newRow("int3 f32 with dropout") << "int3" << "f32" << 8 << "adamw" << 0.1 << 1e-4;
    QTest::newRow("nf4 bf16") << "nf4" << "bf16" << 8 << "adamw" << 0.0 << 1e-2;
    QTest::newRow("nf4 bf16 by fragments") << "nf4" << "bf16" << 64 << "adamw" << 0.0 << 1e-2;
    QTest::newRow("nf4 f16 beside f32") << "nf4" << "f16" << 8 << "adamw" << 0.0 << 2e-3;
    QTest::newRow("nf4 f16 by fragments beside f32") << "nf4" << "f16" << 64 << "adamw" << 0.0 << 2e-3;
    QTest::newRow("nf4 f32 8-bit moments") << "nf4" << "f32" << 64 << "adamw8bit" << 0.0 << 1e-3;
    QTest::newRow("nf4 f32 paged") << "nf4" << "f32" << 8 << "paged_adamw" << 0.0 << 1e-4;
  }
  void twentyStepsAgreeWithTheCpu() {
    QFETCH(QString, format);
    QFETCH(QString, compute);
    QFETCH(int, head_dim);
    QFETCH(QString, optimizer);
    QFETCH(double, dropout);
    QFETCH(double, bound);
    const auto run = [&](DeviceType device) {
      const ComputeType own = compute_type_from_name(compute.toStdString()).value();
      const ComputeType type = own == ComputeType::f16 && device == DeviceType::cpu ? ComputeType::f32 : own;
      Run r(device, config_of(head_dim), format.toStdString(), type, CheckpointPolicy::mlp, optimizer.toLatin1().constData(), dropout);
      return r.losses(20);
    };
    const std::vector<double> wanted = run(DeviceType::cpu), got = run(DeviceType::cuda);
    const double worst = largest_difference(got, wanted);
    qInfo("losses %g .. %g, largest difference %g", wanted.front(), wanted.back(), worst);
    if (compute == "bf16") {  // two ways of rounding: as near to none as the CPU's
      Run exact(DeviceType::cpu, config_of(head_dim), format.toStdString(), ComputeType::f32, CheckpointPolicy::mlp, optimizer.toLatin1().constData(), dropout);
      const std::vector<double> unrounded = exact.losses(20);
      const double here = largest_difference(wanted, unrounded), there = largest_difference(got, unrounded);
      qInfo("from f32: the CPU's bf16 %g, the device's %g", here, there);
      QVERIFY2(there < 1.5 * here, qPrintable(QString::number(there)));
    }
    QVERIFY2(worst < bound, qPrintable(QString::number(worst)));
    QVERIFY(wanted.back() < wanted.front());
  }

  void aRecordedPassHasTheSameBits() {
    Run r(DeviceType::cuda, config_of(8), "nf4", ComputeType::f32, CheckpointPolicy::none);
    const TokenBatch batch = random_batch({17, 1, 30}, r.model->config().vocab_size, 50);
    const StepResult first = r.trainer->train_step({batch}, 0, 0, {});
    QCOMPARE(r.trainer->repeated_passes(), int64_t{0});
    for (int64_t k = 1; k < 4; ++k) {
      const StepResult again = r.trainer->train_step({batch}, 0, k, {});
      QCOMPARE(again.loss, first.loss);
      QCOMPARE(again.grad_norm, first.grad_norm);
    }
    QCOMPARE(r.trainer->repeated_passes(), int64_t{3});
    // Other documents and targets of about that number meet the same recording; evaluation in between takes memory of steps.
    const TokenBatch other = random_batch({9, 20, 18}, r.model->config().vocab_size, 77);
    const auto before = r.trainer->evaluate(batch);
    const StepResult got = r.trainer->train_step({other, batch}, 0, 4, {});
    QCOMPARE(r.trainer->repeated_passes(), int64_t{5});
    Run fresh(DeviceType::cuda, config_of(8), "nf4", ComputeType::f32, CheckpointPolicy::none);
    const StepResult wanted = fresh.trainer->train_step({other, batch}, 0, 0, {});
    QCOMPARE(got.loss, wanted.loss);
    QCOMPARE(got.grad_norm, wanted.grad_norm);
    QCOMPARE(r.trainer->evaluate(batch), before);
  }

  void recordedStepsLearnAsOthersDo() {
    const auto run = [&](bool record) {
      Run r(DeviceType::cuda, config_of(8), "nf4", ComputeType::f32, CheckpointPolicy::full, "adamw", 0.1);
      r.trainer = std::make_unique<Trainer>(r.cx, *r.model, r.parameters, *r.optimizer, TrainerOptions{1, CheckpointPolicy::full, 7, record});
      const std::vector<double> losses = r.losses(12);
      const int64_t repeated = r.trainer->repeated_passes();
      return std::pair(losses, repeated);
    };
    const auto [recorded, repeated] = run(true);
    const auto [one_by_one, none] = run(false);
    QCOMPARE(none, int64_t{0});
    QVERIFY2(repeated > 15, qPrintable(QString::number(repeated)));
    QVERIFY(largest_difference(recorded, one_by_one) < 1e-5);
  }

  void longerTextsMakeALargerTable() {  // of the rotary embedding, which recorded passes still read
    Run r(DeviceType::cuda, config_of(8), "nf4", ComputeType::f32, CheckpointPolicy::none);
    const TokenBatch batch = random_batch({40}, r.model->config().vocab_size, 5);
    r.trainer->train_step({random_batch({200, 200}, r.model->config().vocab_size, 6)}, 0, 0, {});  // room for all indices
    const double first = r.trainer->train_step({batch}, 0, 0, {}).loss;
    QCOMPARE(r.trainer->train_step({batch}, 0, 1, {}).loss, first);
    r.trainer->train_step({random_batch({300}, r.model->config().vocab_size, 6)}, 0, 2, {});
    QCOMPARE(r.trainer->train_step({batch}, 0, 3, {}).loss, first);
    QCOMPARE(r.trainer->repeated_passes(), int64_t{2});
  }

  void policiesAndRunsGiveTheSameBits() {
    std::vector<double> first;
    for (const CheckpointPolicy policy : kCheckpointPolicies) {
      ModelConfig config = config_of(64);
      config.layers = 5;  // enough for inputs that go to host memory and come back while others are under way
      Run r(DeviceType::cuda, config, "nf4", ComputeType::bf16, policy);
      const std::vector<double> losses = r.losses(2);
      if (first.empty()) first = losses;
      QVERIFY2(losses == first, checkpoint_policy_name(policy).data());
    }
  }

  void inputsOfBlocksLeaveTheCard() {
    ModelConfig config = config_of(8);
    config.layers = 5;
    const TokenBatch batch = random_batch({70, 30}, config.vocab_size, 3);
    const auto kept = [&](CheckpointPolicy policy) {
      Run r(DeviceType::cuda, config, "nf4", ComputeType::f32, policy);
      r.losses(1);  // scratch and tables stay behind
      const uint64_t before = device_memory(DeviceType::cuda).statistics().live_bytes;
      Tape tape(r.cx, true);
      const Var out = r.model->forward(tape, batch, {.policy = policy, .training = true});
      return device_memory(DeviceType::cuda).statistics().live_bytes - before;
    };
    // The input of the last block waits on the card.
    QCOMPARE(kept(CheckpointPolicy::full) - kept(CheckpointPolicy::offload), static_cast<uint64_t>(4 * batch.tokens() * config.hidden_size * 4));
  }

  void aStepThatIsNotFiniteChangesNothing() {
    Run r(DeviceType::cuda, tiny_config(), "nf4", ComputeType::f32, CheckpointPolicy::none);
    r.losses(1);
    Tensor& b = r.parameters.back().var->value;
    const Tensor good = b.clone(), other = r.parameters.front().var->value.clone();
    b.fill(HUGE_VAL);
    const StepResult bad = r.trainer->train_step({random_batch({20}, r.model->config().vocab_size, 1)}, 1e-3, 1, {});
    QVERIFY(!bad.finite && !std::isfinite(bad.grad_norm));
    QCOMPARE(r.optimizer->steps_done(), int64_t{1});
    QCOMPARE(max_abs_difference(on_cpu(r.parameters.front().var->value), on_cpu(other)), 0.0);
    b.copy_from(good);
    QVERIFY(r.trainer->train_step({random_batch({20}, r.model->config().vocab_size, 1)}, 1e-3, 1, {}).finite);
    QCOMPARE(r.optimizer->steps_done(), int64_t{2});
  }

  void aScaledLossGivesTheSameSteps() {
    const auto run = [&](bool scaled) {
      Run r(DeviceType::cuda, config_of(8), "nf4", ComputeType::f32, CheckpointPolicy::none);
      r.trainer = std::make_unique<Trainer>(r.cx, *r.model, r.parameters, *r.optimizer, TrainerOptions{.seed = 7, .scale_loss = scaled});
      return r.losses(6);
    };
    QVERIFY(largest_difference(run(true), run(false)) < 1e-12);  // a power of two: only what was tiny may differ
  }

  void aLossScaledTooFarIsScaledLess() {
    Run r(DeviceType::cuda, config_of(8), "nf4", ComputeType::f32, CheckpointPolicy::none);
    r.trainer = std::make_unique<Trainer>(r.cx, *r.model, r.parameters, *r.optimizer, TrainerOptions{.seed = 7, .scale_loss = true});
    // An adapter this large lets gradients through that only a scale below 1 keeps finite; the losses stay finite.
    Tensor& b = r.parameters.back().var->value;
    QVERIFY(r.parameters.back().name.ends_with("lora_B.weight"));
    const TokenBatch batch = random_batch({20, 30}, r.model->config().vocab_size, 1);
    const double plain = r.trainer->train_step({batch}, 0, 0, {}).grad_norm;
    r.trainer->loss_scale().restore(LossScale::kMost, 5);
    Tensor& a = r.parameters[r.parameters.size() - 2].var->value;
    const auto grown = [&](Tensor& t, double by) {
      Tensor here = on_cpu(t);
      for (int64_t i = 0; i < here.size(); ++i) here.data<float>()[i] *= static_cast<float>(by);
      t.copy_from(here);
    };
    grown(b, 1e33);
    grown(a, 1e-33);
    const StepResult got = r.trainer->train_step({batch}, 0, 1, {});
    qInfo("norm %g, then %g at a scale of %g", plain, got.grad_norm, r.trainer->loss_scale().value());
    QVERIFY(got.finite && std::isfinite(got.loss));
    QVERIFY(r.trainer->loss_scale().value() < LossScale::kMost && r.trainer->loss_scale().good_steps() == 1);
    QCOMPARE(r.optimizer->steps_done(), int64_t{2});
  }

  void nothingIsLeftOnTheDevice() {
    const uint64_t before = device_memory(DeviceType::cuda).statistics().live_bytes;
    {
      Run r(DeviceType::cuda, tiny_config(), "nf4", ComputeType::f32, CheckpointPolicy::none);
      r.losses(1);
      QVERIFY(device_memory(DeviceType::cuda).statistics().live_bytes > before);
    }
    QCOMPARE(device_memory(DeviceType::cuda).statistics().live_bytes, before);
  }
};

LORIKEET_TEST_MAIN(TrainerCudaTest)
#include "trainer_cuda_test.moc"
