// One tiny model in every form it can have on disk: the same config, the same weights, the logits of transformers.
#include "core/io/model_files.h"

#include <cmath>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "core/io/safetensors.h"
#include "core/ops/cpu_kernels.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

std::string model_path(const std::string& name) { return data_path("models/" + name); }

Tensor expected(const char* name) {
  const SafetensorsFile file(model_path("expected.safetensors"));
  return file.tensor(*file.find(name)).clone();
}

Tensor logits_of_model(Context& cx, Model& model, const std::vector<int32_t>& ids) {
  TokenBatch batch;
  batch.ids = ids;
  for (size_t i = 0; i < ids.size(); ++i) batch.positions.push_back(static_cast<int32_t>(i));
  batch.document_starts = {0, static_cast<int32_t>(ids.size())};
  Tape tape(cx, false);
  return logits_of(cx, model, model.forward(tape, batch, {})->value);
}

Tensor weights_of(Context& cx, const ModelFiles& files, const std::string& name, const LoadOptions& options = {}) {
  const auto source = files.weights(cx, options);
  for (const ModelTensorInfo& t : files.tensors()) {
    if (t.name != name) continue;
    if (t.shape.size() == 1) return source->vector(name, t.shape[0]);
    const FrozenWeightPtr w = source->matrix(name, t.shape[0], t.shape[1], true);
    Tensor out = Tensor::empty({t.shape[0], t.shape[1]});
    w->decode_rows(0, t.shape[0], out.data<float>(), t.shape[1]);
    return out;
  }
  return {};
}

}  // namespace

class ModelFilesTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_cpu_kernels(); }

  void givesTheLogitsOfTransformers_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<QString>("reference");
    for (const char* name : {"tiny-llama", "tiny-llama-sharded", "tiny-llama/model.safetensors",
                             "tiny-llama-sharded/model-00002-of-00003.safetensors", "tiny-llama-F32.gguf"})
      QTest::newRow(name) << name << "logits";
    QTest::newRow("tiny-llama-F16.gguf") << "tiny-llama-F16.gguf"
                                         << "logits_F16";
    QTest::newRow("tiny-llama-Q8_0.gguf") << "tiny-llama-Q8_0.gguf"
                                          << "logits_Q8_0";
  }
  void givesTheLogitsOfTransformers() {
    QFETCH(QString, name);
    QFETCH(QString, reference);
    Context cx(2);
    const auto files = open_model(model_path(name.toStdString()));
    const auto model = load_model(*files, cx, {}, {});
    const Tensor ids = expected("ids");
    const double error =
        relative_l2(logits_of_model(cx, *model, ids.to_vector<int32_t>()), expected(reference.toStdString().c_str()));
    QVERIFY2(error < 1e-5, qPrintable(QString::number(error)));
  }

  void readsTheSameConfigFromFolderAndGguf() {
    const ModelConfig a = open_model(model_path("tiny-llama"))->config(),
                      b = open_model(model_path("tiny-llama-F32.gguf"))->config();
    const ModelConfig c = open_model(model_path("tiny-llama-sharded"))->config();
    for (const ModelConfig* other : {&b, &c}) {
      QCOMPARE(other->vocab_size, a.vocab_size);
      QCOMPARE(other->hidden_size, a.hidden_size);
      QCOMPARE(other->layers, a.layers);
      QCOMPARE(other->heads, a.heads);
      QCOMPARE(other->kv_heads, a.kv_heads);
      QCOMPARE(other->head_dim, a.head_dim);
      QCOMPARE(other->max_positions, a.max_positions);
      QVERIFY(other->norm_eps == a.norm_eps);  // GGUF holds f32; the number meant is read back
      QCOMPARE(other->tied_head, a.tied_head);
      const auto wa = rope_inverse_frequencies(a), wo = rope_inverse_frequencies(*other);
      QCOMPARE(wo.size(), wa.size());
      for (size_t i = 0; i < wa.size(); ++i) QVERIFY(std::fabs(wo[i] - wa[i]) <= 1e-6 * wa[i]);
    }
    QCOMPARE(QString::fromStdString(a.rope.kind), QString("llama3"));
    QCOMPARE(QString::fromStdString(b.rope.kind), QString("factors"));
  }

  void undoesTheOrderOfQueryAndKeyRowsExactly_data() {
    QTest::addColumn<QString>("tensor");
    for (const char* part : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.down_proj"})
      QTest::newRow(part) << "model.layers.1." + QString(part) + ".weight";
  }
  void undoesTheOrderOfQueryAndKeyRowsExactly() {
    QFETCH(QString, tensor);
    Context cx(1);
    const auto hf = open_model(model_path("tiny-llama")), gguf = open_model(model_path("tiny-llama-F32.gguf"));
    const Tensor a = weights_of(cx, *hf, tensor.toStdString()), b = weights_of(cx, *gguf, tensor.toStdString());
    QVERIFY(a.size() > 0);
    QCOMPARE(max_abs_difference(a, b), 0.0);
  }

  void movesQuantisedRowsWithoutCodingThemAgain() {
    Context cx(1);
    const auto hf = open_model(model_path("tiny-llama")), q8 = open_model(model_path("tiny-llama-Q8_0.gguf"));
    const std::string name = "model.layers.0.self_attn.q_proj.weight";
    const Tensor a = weights_of(cx, *hf, name), b = weights_of(cx, *q8, name);
    // Each value is off by at most half a step of its own row's block (and what the step loses as f16, 127 * 2^-11 of a
    // step); a row in the wrong place would be off by far more.
    for (int64_t r = 0; r < a.dim(0); ++r) {
      float largest = 0;
      for (int64_t c = 0; c < a.dim(1); ++c) largest = std::max(largest, std::fabs(a.row<float>(r)[c]));
      for (int64_t c = 0; c < a.dim(1); ++c)
        QVERIFY(std::fabs(a.row<float>(r)[c] - b.row<float>(r)[c]) <= largest / 127 * 0.57f);
    }
  }

  void readsFourBitCheckpointsAsBitsandbytesDecodesThem_data() {
    QTest::addColumn<QString>("kind");
    QTest::newRow("nf4 with nested scales") << "nf4";
    QTest::newRow("fp4") << "fp4";
  }
  void readsFourBitCheckpointsAsBitsandbytesDecodesThem() {
    QFETCH(QString, kind);
    const std::string folder = model_path("tiny-llama-" + kind.toStdString());
    Context cx(2);
    const auto files = open_model(folder);
    const SafetensorsFile reference(folder + "/dequantised.safetensors");
    QCOMPARE(reference.entries().size(), size_t{14});
    for (const SafetensorsEntry& e : reference.entries()) {
      const double error = relative_l2(weights_of(cx, *files, e.name), reference.tensor(e));
      QVERIFY2(error < 1e-7, qPrintable(QString::fromStdString(e.name) + " " + QString::number(error)));
    }
    // Already in the form asked for: kept as it is.
    LoadOptions again;
    again.quantization = kind.toStdString();
    again.quant.double_quant = kind == "nf4";
    const auto source = files->weights(cx, again);
    QCOMPARE(QString::fromStdString(
                 std::string(source->matrix("model.layers.0.mlp.up_proj.weight", 64, 32, true)->format())),
             kind);
    QCOMPARE(max_abs_difference(weights_of(cx, *files, "model.layers.0.mlp.up_proj.weight", again),
                                weights_of(cx, *files, "model.layers.0.mlp.up_proj.weight")),
             0.0);
  }

  void quantisesOnlyTheLinearLayersOfTheBlocks() {
    Context cx(2);
    LoadOptions options;
    options.quantization = "nf4";
    const auto files = open_model(model_path("tiny-llama"));
    const auto model = load_model(*files, cx, options, {});
    for (const Linear* l : model->linears())
      QCOMPARE(QString::fromStdString(std::string(l->weight().format())), QString("nf4"));
    QCOMPARE(QString::fromStdString(std::string(model->head().format())), QString("F32"));
  }

  void carriesTokenizerTemplateAndVariables_data() {
    QTest::addColumn<QString>("name");
    QTest::newRow("folder") << "tiny-llama";
    QTest::newRow("gguf") << "tiny-llama-F16.gguf";
  }
  void carriesTokenizerTemplateAndVariables() {
    QFETCH(QString, name);
    const auto files = open_model(model_path(name.toStdString()));
    QVERIFY(files->tokenizer() != nullptr);
    QCOMPARE(files->tokenizer()->encode("the dog learns from the cat at nine; 2024 is first"),
             expected("ids").to_vector<int32_t>());
    QVERIFY(files->chat_template_source().find("<|im_start|>") != std::string::npos);
    QCOMPARE(QString::fromStdString(files->template_variables().value("eos_token", "")), QString("<|im_end|>"));
    QCOMPARE(QString::fromStdString(files->template_variables().value("bos_token", "")), QString("<|endoftext|>"));
    QVERIFY(files->warnings().empty());
    QCOMPARE(files->content_hash().size(), size_t{64});
  }

  void reportsProgressAndStops() {
    Context cx(1);
    const auto files = open_model(model_path("tiny-llama"));
    uint64_t last = 0, total = 0;
    load_model(*files, cx, {}, {}, [&](uint64_t done, uint64_t all) {
      QVERIFY(done >= last);
      last = done;
      total = all;
    });
    QVERIFY(total > 0);
    QCOMPARE(last, total);
    std::stop_source stop;
    stop.request_stop();
    VERIFY_THROWS(load_model(*files, cx, {}, stop.get_token()), Interrupted, "stopped");
  }

  void opensAFolderWithOneGguf() {
    ScratchFolder scratch;
    fs::copy_file(model_path("tiny-llama-F16.gguf"), scratch.path("model.gguf"));
    QCOMPARE(QString::fromStdString(open_model(scratch.path())->container()), QString("gguf"));
    fs::copy_file(model_path("tiny-llama-F32.gguf"), scratch.path("other.gguf"));
    VERIFY_THROWS(open_model(scratch.path()), InputError, "2 .gguf files");
  }

  void readsWindowsAndActivations() {
    const std::string folder = data_path("parity/mistral_window_geglu");
    const auto files = open_model(folder);
    QCOMPARE(files->config().sliding_window, int64_t{7});
    QVERIFY(files->config().activation == GateActivation::gelu_tanh);
    QVERIFY(open_model(model_path("tiny-llama"))->config().activation == GateActivation::silu);
    ScratchFolder scratch;
    fs::copy_file(folder + "/model.safetensors", scratch.path("model.safetensors"));
    Json config = read_json_file(folder + "/config.json");
    config["hidden_act"] = "relu";
    scratch.write("config.json", dump_json(config));
    VERIFY_THROWS(open_model(scratch.path()), InputError, "silu and gelu_pytorch_tanh are");
  }
  void namesWhatIsMissing() {
    ScratchFolder scratch;
    VERIFY_THROWS(open_model(scratch.path("nothing")), InputError, "no such file or folder");
    VERIFY_THROWS(open_model(scratch.path()), InputError, "holds no model");
    VERIFY_THROWS(open_model(model_path("tiny-llama-lora")), InputError, "is an adapter");
    fs::copy_file(model_path("tiny-llama/config.json"), scratch.path("config.json"));
    VERIFY_THROWS(open_model(scratch.path()), InputError, "model.safetensors");
    scratch.write("pytorch_model.bin", "PK");
    VERIFY_THROWS(open_model(scratch.path()), InputError, "safe_serialization=True");
    VERIFY_THROWS(resolve_model_path(scratch.path("nothing")), InputError, "no such file or folder");
  }

  void findsHubIdsInTheSharedCache() {
    ScratchFolder scratch;
    const std::string commit(40, 'a'), repository = scratch.path("models--org--name");
    fs::create_directories(repository + "/refs");
    fs::create_directories(repository + "/snapshots/" + commit);
    scratch.write("models--org--name/refs/main", commit);
    fs::copy(model_path("tiny-llama"), repository + "/snapshots/" + commit);
    qputenv("HF_HUB_CACHE", QByteArray::fromStdString(scratch.path()));
    const std::string found = resolve_model_path("org/name");
    QCOMPARE(QString::fromStdString(found), QString::fromStdString(repository + "/snapshots/" + commit));
    QCOMPARE(QString::fromStdString(open_model(found)->base_name()), QString("org/name"));
    VERIFY_THROWS(resolve_model_path("org/other"), InputError, "Hugging Face cache");
    VERIFY_THROWS(resolve_model_path("../name"), InputError, "no such file");
    qunsetenv("HF_HUB_CACHE");
  }

  void loadsTheDefaultModel() {
    const std::string path = default_model();
    if (path.empty()) QSKIP("the default model was not fetched (./studio model)");
    Context cx(2);
    const auto files = open_model(path);
    QCOMPARE(files->config().parameter_count(), int64_t{134515008});
    QCOMPARE(QString::fromStdString(files->base_name()), QString("HuggingFaceTB/SmolLM2-135M-Instruct"));
    const auto model = load_model(*files, cx, {}, {});
    QCOMPARE(model->linears().size(), size_t{210});
    QCOMPARE(QString::fromStdString(std::string(model->linears()[0]->weight().format())), QString("Q4_1"));
  }
};

LORIKEET_TEST_MAIN(ModelFilesTest)
#include "model_files_test.moc"
