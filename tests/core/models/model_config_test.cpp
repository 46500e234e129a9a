#include "core/models/model_config.h"

#include <cmath>

#include "core/base/error.h"
#include "core/models/model.h"
#include "tests/core/models/tiny_model.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

ModelConfig smollm2() {
  ModelConfig c;
  c.vocab_size = 49152;
  c.hidden_size = 576;
  c.intermediate_size = 1536;
  c.layers = 30;
  c.heads = 9;
  c.kv_heads = 3;
  c.head_dim = 64;
  c.max_positions = 8192;
  c.rope_theta = 100000;
  c.tied_head = true;
  return c;
}

ModelConfig llama3(int64_t head_dim, double factor) {
  ModelConfig c = smollm2();
  c.head_dim = head_dim;
  c.rope_theta = 5e5;
  c.rope = {"llama3", factor, 1, 4, 8192, {}};
  return c;
}

}  // namespace

class ModelConfigTest : public QObject {
  Q_OBJECT
 private slots:
  // Published sizes: SmolLM2-135M 134,515,008; Llama-3.2-1B 1,235,814,400; Llama-3-8B 8,030,261,248.
  void countsTheParametersOfKnownModels() {
    QCOMPARE(smollm2().parameter_count(), int64_t{134515008});
    ModelConfig c = smollm2();
    c.vocab_size = 128256;
    c.hidden_size = 2048;
    c.intermediate_size = 8192;
    c.layers = 16;
    c.heads = 32;
    c.kv_heads = 8;
    QCOMPARE(c.parameter_count(), int64_t{1235814400});
    c.hidden_size = 4096;
    c.intermediate_size = 14336;
    c.layers = 32;
    c.head_dim = 128;
    c.tied_head = false;
    QCOMPARE(c.parameter_count(), int64_t{8030261248});
  }
  void countsWhatTheFilesHold() {
    for (const char* name : {"gqa_tied", "mha_untied_bias", "linear_rope", "llama3_rope", "mistral_window_geglu"}) {
      const std::string folder = data_path("parity/" + std::string(name));
      int64_t held = 0;
      for (const auto& [key, tensor] : read_fixture(folder + "/model.safetensors")) held += tensor.size();
      QCOMPARE(config_from_json(folder + "/config.json").parameter_count(), held);
    }
  }
  // Ratios w_j / w'_j of Llama-3.2-1B and Llama-3.1-8B, as GGUF files store them in rope_freqs.weight.
  void scalesLlama3Frequencies_data() {
    QTest::addColumn<int>("head_dim");
    QTest::addColumn<double>("factor");
    QTest::addColumn<int>("first");
    QTest::addColumn<QList<double>>("ratios");
    QTest::newRow("3.2-1B") << 64 << 32.0 << 14 << QList<double>{1, 1.651329, 3.292262, 9.666729, 32};
    QTest::newRow("3.1-8B") << 128 << 8.0 << 28
                            << QList<double>{1, 1.20748, 1.55341, 2.02631, 2.69453, 3.68425, 5.25733, 8};
  }
  void scalesLlama3Frequencies() {
    QFETCH(int, head_dim);
    QFETCH(double, factor);
    QFETCH(int, first);
    QFETCH(QList<double>, ratios);
    ModelConfig scaled = llama3(head_dim, factor), plain = scaled;
    plain.rope = {};
    const auto w = rope_inverse_frequencies(plain), s = rope_inverse_frequencies(scaled);
    QCOMPARE(w.size(), static_cast<size_t>(head_dim / 2));
    for (size_t j = 0; j < w.size(); ++j) {
      const auto place = static_cast<qsizetype>(j) - first;
      const double wanted = ratios[std::clamp<qsizetype>(place, 0, ratios.size() - 1)];
      QVERIFY2(std::abs(w[j] / s[j] / wanted - 1) < 5e-6, qPrintable(QString("j %1").arg(j)));
    }
    QCOMPARE(w[0], 1.0);
    QVERIFY(std::abs(w[1] * std::pow(5e5, 2.0 / head_dim) - 1) < 1.2e-7);  // rounded to f32 twice
  }
  void linearAndFactorsDivide() {
    ModelConfig c = smollm2();
    const auto w = rope_inverse_frequencies(c);
    c.rope.kind = "linear";
    c.rope.factor = 4;
    const auto linear = rope_inverse_frequencies(c);
    c.rope.kind = "factors";
    for (int j = 0; j < 32; ++j) c.rope.factors.push_back(1.0f + static_cast<float>(j));
    const auto factors = rope_inverse_frequencies(c);
    for (size_t j = 0; j < 32; ++j) {
      QCOMPARE(linear[j], w[j] / 4);
      QCOMPARE(factors[j], w[j] / (1.0 + static_cast<double>(j)));
    }
  }
  void refusesWhatIsNoDecoder_data() {
    QTest::addColumn<int>("change");
    QTest::addColumn<QString>("part");
    QTest::newRow("no layers") << 0 << "num_hidden_layers";
    QTest::newRow("heads not shared evenly") << 1 << "num_key_value_heads";
    QTest::newRow("odd head_dim") << 2 << "head_dim";
    QTest::newRow("negative vocabulary") << 3 << "vocab_size";
    QTest::newRow("short factors") << 4 << "rope factors";
    QTest::newRow("zero factor") << 5 << "rope scaling factor";
    QTest::newRow("llama3 without its length") << 6 << "original_max_position_embeddings";
  }
  void refusesWhatIsNoDecoder() {
    QFETCH(int, change);
    QFETCH(QString, part);
    ModelConfig c = smollm2();
    if (change == 0) c.layers = 0;
    if (change == 1) c.kv_heads = 4;
    if (change == 2) c.head_dim = 63;
    if (change == 3) c.vocab_size = -1;
    if (change == 4) c.rope = {"factors", 1, 1, 4, 0, {1, 2, 3}};
    if (change == 5) c.rope = {"linear", 0, 1, 4, 0, {}};
    if (change == 6) c.rope = {"llama3", 8, 1, 4, 0, {}};
    VERIFY_THROWS(check_model_config(c), InputError, part.toStdString());
  }
  void refusesWhatThisVersionLacks() {
    ModelConfig c = smollm2();
    c.rope.kind = "yarn";
    VERIFY_THROWS(check_model_config(c), UnsupportedError, "yarn");
    c = smollm2();
    c.sliding_window = -1;
    VERIFY_THROWS(check_model_config(c), InputError, "sliding_window");
    c.sliding_window = 4096;
    check_model_config(c);
    VERIFY_THROWS(models().get("FalconForCausalLM"), UnsupportedError, "LlamaForCausalLM");
  }
  void namesTheLinearLayers() {
    const auto shapes = linear_shapes(smollm2());
    QCOMPARE(shapes.size(), size_t{210});
    QCOMPARE(shapes[8].name, std::string("model.layers.1.self_attn.k_proj"));
    QVERIFY(shapes[8].rows == 192 && shapes[8].columns == 576);
    QCOMPARE(shapes[209].name, std::string("model.layers.29.mlp.down_proj"));
    QVERIFY(shapes[209].rows == 576 && shapes[209].columns == 1536);
  }
  // labels[t] is the target of the position before it in its document; a document's first label is never one.
  void picksTargetsOfThePositionBefore() {
    const TokenBatch batch{{5, 6, 7, 8, 9}, {0, 1, 0, 1, 2}, {0, 2, 5}, {5, 6, 7, -100, 9}};
    const Targets targets = target_rows(batch);
    QVERIFY((targets.rows == std::vector<int32_t>{0, 3}));
    QVERIFY((targets.targets == std::vector<int32_t>{6, 9}));
    QCOMPARE(batch.target_tokens(), int64_t{2});
  }
};

LORIKEET_TEST_MAIN(ModelConfigTest)
#include "model_config_test.moc"
