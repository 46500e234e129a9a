#include "core/methods/lora.h"

#include <cmath>

#include "core/base/error.h"
#include "core/ops/cpu_kernels.h"
#include "tests/core/models/tiny_model.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

AdapterSpec spec_of(int64_t rank) {
  AdapterSpec spec;
  spec.rank = rank;
  spec.target_modules = {"all-linear"};
  return spec;
}
const Method& lora() { return *methods().get("lora"); }
const std::string kQ = "model.layers.0.self_attn.q_proj";

ModelConfig wide_config() {
  ModelConfig c = tiny_config();
  c.hidden_size = 400;
  return c;
}

}  // namespace

class LoraTest : public QObject {
  Q_OBJECT
  Context cx_{2};
 private slots:
  void initTestCase() { register_cpu_kernels(); }

  void drawsAUniformAndBZero() {
    const auto model = make_tiny(wide_config(), 1);
    lora().attach(*model, spec_of(32));
    const LoraAdapter& adapter = *model->linears()[0]->adapter();
    double sum = 0, squares = 0, largest = 0;
    for (float v : adapter.a->value.to_vector<float>()) {
      sum += static_cast<double>(v);
      squares += static_cast<double>(v) * static_cast<double>(v);
      largest = std::max(largest, std::abs(static_cast<double>(v)));
    }
    const double n = 32 * 400, bound = 1 / std::sqrt(400.0);
    QVERIFY(largest <= bound && largest > 0.99 * bound);
    QVERIFY(std::abs(sum / n) < 4 * bound / std::sqrt(3 * n));
    QVERIFY(std::abs(squares / n / (bound * bound / 3) - 1) < 0.03);
    QCOMPARE(max_abs_difference(adapter.b->value, Tensor::zeros({32, 32})), 0.0);
    QVERIFY(adapter.a->needs_grad && adapter.b->needs_grad);
  }
  void gaussianHasDeviationOneOverRank() {
    const auto model = make_tiny(wide_config(), 1);
    AdapterSpec spec = spec_of(16);
    spec.init = "gaussian";
    lora().attach(*model, spec);
    double squares = 0, beyond = 0;
    for (float v : model->linears()[0]->adapter()->a->value.to_vector<float>()) {
      squares += static_cast<double>(v) * static_cast<double>(v);
      beyond += std::abs(v) > 2.0f / 16 ? 1 : 0;
    }
    QVERIFY(std::abs(std::sqrt(squares / (16 * 400)) * 16 - 1) < 0.04);
    QVERIFY(std::abs(beyond / (16 * 400) - 0.0455) < 0.012);
  }
  // A module's values depend on its name and the seed, not on what else is adapted.
  void valuesDependOnNameAndSeedOnly() {
    const auto all = make_tiny(tiny_config(), 1), some = make_tiny(tiny_config(), 1),
               other = make_tiny(tiny_config(), 1);
    AdapterSpec spec = spec_of(4);
    lora().attach(*all, spec);
    spec.target_modules = {"v_proj"};
    lora().attach(*some, spec);
    spec.seed = 43;
    lora().attach(*other, spec);
    QVERIFY(!some->linears()[0]->adapter());
    const Tensor a = all->linears()[2]->adapter()->a->value;
    QVERIFY(same_bits(a, some->linears()[2]->adapter()->a->value));
    QVERIFY(!same_bits(a, other->linears()[2]->adapter()->a->value));
    QVERIFY(!same_bits(a, all->linears()[9]->adapter()->a->value));
  }
  void attachingAgainReplaces() {
    const auto model = make_tiny(tiny_config(), 1);
    lora().attach(*model, spec_of(4));
    AdapterSpec spec = spec_of(2);
    spec.target_modules = {"o_proj"};
    lora().attach(*model, spec);
    QCOMPARE(lora().parameters(*model).size(), size_t{4});
  }
  void parametersAreNamedAndSortedAsInTheFile() {
    ModelConfig c = tiny_config();
    c.layers = 11;
    const auto model = make_tiny(c, 1);
    lora().attach(*model, spec_of(4));
    const auto parameters = lora().parameters(*model);
    QCOMPARE(parameters.size(), size_t{154});
    QCOMPARE(parameters[0].name, std::string("base_model.model.model.layers.0.mlp.down_proj.lora_A.weight"));
    QCOMPARE(parameters[1].name, std::string("base_model.model.model.layers.0.mlp.down_proj.lora_B.weight"));
    for (size_t i = 1; i < parameters.size(); ++i) QVERIFY(parameters[i - 1].name < parameters[i].name);
    int64_t held = 0;
    for (const auto& p : parameters) held += p.var->value.size();
    QCOMPARE(lora().parameter_count(linear_shapes(c), spec_of(4)), held);
  }
  // The tensors and shapes PEFT saved for the same settings.
  void agreesWithPeftOnShapes() {
    const std::string folder = data_path("parity/llama3_rope");
    const ModelConfig c = config_from_json(folder + "/config.json");
    AdapterSpec spec = spec_of(4);
    spec.alpha = 8;
    spec.target_modules = {".*\\.(q|k|o)_proj|model\\.layers\\.1\\.mlp\\.gate_proj"};
    spec.target_is_pattern = true;
    spec.rank_pattern = {{"layers.1.self_attn.q_proj", 2}};
    spec.alpha_pattern = {{"o_proj", 12}};
    const auto model = make_tiny(c, 1);
    lora().attach(*model, spec);
    const TensorMap saved = read_fixture(folder + "/adapter/adapter_model.safetensors");
    const auto parameters = lora().parameters(*model);
    QCOMPARE(parameters.size(), saved.size());
    for (const auto& p : parameters)
      QVERIFY2(saved.count(p.name) && saved.at(p.name).shape() == p.var->value.shape(), p.name.c_str());
    QCOMPARE(adapter_scale(spec, "model.layers.1.self_attn.o_proj"), 3.0);
    QCOMPARE(adapter_scale(spec, "model.layers.1.self_attn.q_proj"), 4.0);
    QCOMPARE(adapter_scale(spec, kQ), 2.0);
  }
  void patternsMatchEndingsAtADot() {
    AdapterSpec spec = spec_of(16);
    spec.rank_pattern = {{"q_proj", 4}, {"layers\\.[1-9]\\.self_attn\\.v_proj", 2}, {"_proj", 1}};
    spec.alpha_pattern = {{"model.layers.0.self_attn.q_proj", 5}};
    QCOMPARE(rank_and_alpha(spec, kQ), (std::pair<int64_t, double>{4, 5}));
    QCOMPARE(rank_and_alpha(spec, "model.layers.1.self_attn.v_proj").first, int64_t{2});
    QCOMPARE(rank_and_alpha(spec, "model.layers.0.self_attn.v_proj"), (std::pair<int64_t, double>{16, 32}));
    QCOMPARE(rank_and_alpha(spec, "model.layers.0.self_attn.xq_proj").first, int64_t{16});
    spec.rank_pattern = {{"q_proj", 0}};
    VERIFY_THROWS(rank_and_alpha(spec, kQ), ConfigError, "wanted at least 1");
    spec.rank_pattern = {{"(", 1}};
    VERIFY_THROWS(rank_and_alpha(spec, kQ), ConfigError, "adapter.rank_pattern");
  }
  void rankStabilisedScaleDividesByTheRoot() {
    AdapterSpec spec = spec_of(64);
    spec.alpha = 16;
    QCOMPARE(adapter_scale(spec, kQ), 0.25);
    spec.rslora = true;
    QCOMPARE(adapter_scale(spec, kQ), 2.0);
  }
  void freshAdaptersLeaveTheModelAsItWas() {
    const auto base = make_tiny(tiny_config(), 3), tuned = make_tiny(tiny_config(), 3);
    lora().attach(*tuned, spec_of(8));
    const TokenBatch batch = random_batch({9, 4}, tiny_config().vocab_size, 2);
    QCOMPARE(loss_of(cx_, *tuned, batch), loss_of(cx_, *base, batch));
  }
  void adaptersCanBeTurnedOff() {
    const auto base = make_tiny(tiny_config(), 3), tuned = make_tiny(tiny_config(), 3);
    attach_random(*tuned, 4, 1);
    const TokenBatch batch = random_batch({9, 4}, tiny_config().vocab_size, 2);
    const double on = loss_of(cx_, *tuned, batch);
    enable_adapters(*tuned, false);
    QCOMPARE(loss_of(cx_, *tuned, batch), loss_of(cx_, *base, batch));
    enable_adapters(*tuned, true);
    QCOMPARE(loss_of(cx_, *tuned, batch), on);
    QVERIFY(on != loss_of(cx_, *base, batch));
  }
  void refusesWhatItCannotDo() {
    const auto model = make_tiny(tiny_config(), 3);
    AdapterSpec spec = spec_of(4);
    spec.dora = true;
    VERIFY_THROWS(lora().attach(*model, spec), UnsupportedError, "adapter.dora");
    spec = spec_of(4);
    spec.init = "pissa";
    VERIFY_THROWS(lora().attach(*model, spec), ConfigError, "adapter.init");
    spec = spec_of(4);
    spec.dropout = 1;
    VERIFY_THROWS(lora().attach(*model, spec), ConfigError, "adapter.dropout");
    spec = spec_of(0);
    VERIFY_THROWS(lora().attach(*model, spec), ConfigError, "adapter.rank");
    VERIFY_THROWS(methods().get("loha"), UnsupportedError, "known: lora");
  }
};

LORIKEET_TEST_MAIN(LoraTest)
#include "lora_test.moc"
