/// Logits, losses, adapter gradients and 20 AdamW steps against transformers + PEFT in fp32
/// (tests/tools/make_parity_fixtures.py).
#include <cmath>

#include "core/ops/cpu_kernels.h"
#include "core/optim/schedule.h"
#include "core/train/trainer.h"
#include "tests/core/models/tiny_model.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

AdapterSpec spec_from(const std::string& path) {
  const Json j = read_json_file(path);
  AdapterSpec spec;
  spec.rank = j["r"];
  spec.alpha = j["lora_alpha"];
  spec.rslora = j["use_rslora"];
  spec.target_is_pattern = j["target_modules"].is_string();
  if (spec.target_is_pattern)
    spec.target_modules = {j["target_modules"].get<std::string>()};
  else
    spec.target_modules = j["target_modules"].get<std::vector<std::string>>();
  spec.rank_pattern = j["rank_pattern"].get<std::map<std::string, int64_t>>();
  spec.alpha_pattern = j["alpha_pattern"].get<std::map<std::string, double>>();
  return spec;
}

/// A fixture opened: the base model, its adapter with the saved values, and what is expected.
struct Fixture {
  Context cx{2};
  std::unique_ptr<Model> model;
  std::vector<NamedParameter> parameters;
  TensorMap expected;
  Json settings;

  explicit Fixture(const std::string& name) {
    const std::string folder = data_path("parity/" + name);
    MapSource source(read_fixture(folder + "/model.safetensors"));
    model = models().get("LlamaForCausalLM")(config_from_json(folder + "/config.json"), source, {});
    const Method& lora = *methods().get("lora");
    lora.attach(*model, spec_from(folder + "/adapter/adapter_config.json"));
    parameters = lora.parameters(*model);
    const TensorMap saved = read_fixture(folder + "/adapter/adapter_model.safetensors");
    if (saved.size() != parameters.size()) throw std::runtime_error("other modules matched than by PEFT");
    for (auto& p : parameters) p.var->value.copy_from(saved.at(p.name));
    expected = read_fixture(folder + "/fixture.safetensors");
    settings = fixture_settings(folder + "/fixture.safetensors");
  }
  TokenBatch micro(int64_t i) const { return batch_from(expected, "micro_" + std::to_string(i) + "."); }
  std::vector<TokenBatch> step(int64_t k) const {
    std::vector<TokenBatch> out;
    const auto n = settings["accumulation"].get<int64_t>();
    for (int64_t i = 0; i < n; ++i) out.push_back(micro(k * n + i));
    return out;
  }
};

}  // namespace

class TrainerParityTest : public QObject {
  Q_OBJECT
  static void rows() {
    QTest::addColumn<QString>("name");
    for (const char* name : {"gqa_tied", "mha_untied_bias", "llama3_rope", "linear_rope", "mistral_window_geglu"}) QTest::newRow(name) << name;
  }
  static std::string name() {
    QFETCH_GLOBAL(QString, name);
    return name.toStdString();
  }

 private slots:
  void initTestCase_data() { rows(); }
  void initTestCase() { register_cpu_kernels(); }

  void logitsAndTokenLosses() {
    Fixture f(name());
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
    Fixture f(name());
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
    Fixture f(name());
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
