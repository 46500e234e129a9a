/// Logits, losses, adapter gradients and 20 AdamW steps against transformers + PEFT in fp32
/// (tests/tools/make_parity_fixtures.py).
#include <cmath>

#include "core/ops/cpu_kernels.h"
#include "core/optim/schedule.h"
#include "core/train/trainer.h"
#include "tests/core/train/parity_fixture.h"

using namespace lorikeet;
using namespace lorikeet::test;

class TrainerParityTest : public QObject {
  Q_OBJECT
  static void rows() {
    QTest::addColumn<QString>("name");
    for (const char* name : kParityFixtures) QTest::newRow(name) << name;
  }
  static std::string name() {
    QFETCH_GLOBAL(QString, name);
    return name.toStdString();
  }

 private slots:
  void initTestCase_data() { rows(); }
  void initTestCase() { register_cpu_kernels(); }

  void logitsAndTokenLosses() {
    ParityFixture f(name());
    const TokenBatch batch = f.micro(0);
    const auto logits = [&] {
      Tape tape(f.cx, false);
      return logits_of(f.cx, *f.model, f.model->forward(tape, batch, {})->value);
    };
    const double tuned = relative_l2(logits(), f.expected.at("logits"));
    QVERIFY2(tuned < 1e-5, qPrintable(QString::number(tuned)));
    Tape tape(f.cx, false);
    const HeadLoss head =
        head_loss(f.cx, f.model->head(), f.model->forward(tape, batch, {})->value, target_rows(batch), false, 0, true);
    QVERIFY(head.losses.shape() == f.expected.at("token_losses").shape());
    QVERIFY(max_abs_difference(head.losses, f.expected.at("token_losses")) < 1e-4);
    enable_adapters(*f.model, false);
    const double base = relative_l2(logits(), f.expected.at("base_logits"));
    QVERIFY2(base < 1e-5, qPrintable(QString::number(base)));
  }
  void adapterGradientsOfAStep() {
    ParityFixture f(name());
    double targets = 0;
    for (const TokenBatch& b : f.step(0)) targets += static_cast<double>(b.target_tokens());
    for (const TokenBatch& batch : f.step(0)) {
      Tape tape(f.cx, true);
      Var hidden = f.model->forward(tape, batch, {CheckpointPolicy::none, true, 0});
      HeadLoss head = head_loss(f.cx, f.model->head(), hidden->value, target_rows(batch), true, 1 / targets);
      tape.backward(hidden, std::move(head.d_hidden));
    }
    double worst = 0;
    for (const auto& p : f.parameters)
      worst = std::max(worst, relative_l2(p.var->grad, f.expected.at("gradient." + p.name)));
    QVERIFY2(worst < 1e-4, qPrintable(QString::number(worst)));
  }
  void twentyAdamwSteps() {
    ParityFixture f(name());
    const auto optimizer = optimizers().get("adamw").make(f.parameters, {0.9, 0.999, 1e-8, f.settings["weight_decay"]});
    Trainer trainer(f.cx, *f.model, f.parameters, *optimizer, {f.settings["max_norm"], CheckpointPolicy::full, 1});
    ScheduleSpec schedule{"cosine", f.settings["peak"], f.settings["steps"], 0};
    schedule.warmup_steps = warmup_length(0, f.settings["warmup_ratio"], schedule.total_steps);
    double worst = 0;
    for (int64_t k = 0; k < schedule.total_steps; ++k) {
      const double rate = learning_rate(schedule, k);
      QVERIFY(std::abs(rate - f.expected.at("learning_rates").data<double>()[k]) < 1e-12);
      const StepResult got = trainer.train_step(f.step(k), rate, k, {});
      worst = std::max(worst, std::abs(got.loss - f.expected.at("step_losses").data<double>()[k]));
      const double norm = f.expected.at("grad_norms").data<double>()[k];
      QVERIFY2(std::abs(got.grad_norm / norm - 1) < 1e-3,
               qPrintable(QString("norm %1, wanted %2").arg(got.grad_norm).arg(norm)));
    }
    qInfo("largest loss difference over the steps: %g", worst);
    QVERIFY2(worst < 2e-4, qPrintable(QString::number(worst)));
    for (const auto& p : f.parameters) QVERIFY(relative_l2(p.var->value, f.expected.at("final." + p.name)) < 1e-3);
  }
};

LORIKEET_TEST_MAIN(TrainerParityTest)
#include "trainer_parity_test.moc"
