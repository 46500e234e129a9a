// Adapters as PEFT writes them give PEFT's logits here; ours carry what PEFT needs; what is no plain LoRA is refused by
// name.
#include "core/io/adapter_files.h"

#include <cstring>
#include <functional>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/io/model_files.h"
#include "core/io/safetensors.h"
#include "core/ops/cpu_kernels.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

std::string models_path(const std::string& name) { return data_path("models/" + name); }

Tensor logits_with(Context& cx, Model& model) {
  const SafetensorsFile file(models_path("expected.safetensors"));
  TokenBatch batch;
  batch.ids = file.tensor(*file.find("ids")).to_vector<int32_t>();
  for (size_t i = 0; i < batch.ids.size(); ++i) batch.positions.push_back(static_cast<int32_t>(i));
  batch.document_starts = {0, static_cast<int32_t>(batch.ids.size())};
  Tape tape(cx, false);
  return logits_of(cx, model, model.forward(tape, batch, {})->value);
}

/// A copy of the PEFT fixture with its config changed.
void changed_adapter(const ScratchFolder& scratch, const std::function<void(Json&)>& change) {
  Json config = read_json_file(models_path("tiny-llama-lora/adapter_config.json"));
  change(config);
  scratch.write("adapter_config.json", dump_json(config, 2));
  fs::copy_file(models_path("tiny-llama-lora/adapter_model.safetensors"), scratch.path("adapter_model.safetensors"),
                fs::copy_options::overwrite_existing);
}

/// The fixture's tensors, changed, with its config.
void changed_tensors(const ScratchFolder& scratch,
                     const std::function<void(std::vector<std::pair<std::string, Tensor>>&)>& change) {
  const SafetensorsFile file(models_path("tiny-llama-lora/adapter_model.safetensors"));
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const SafetensorsEntry& e : file.entries()) tensors.emplace_back(e.name, file.tensor(e).clone());
  change(tensors);
  write_safetensors(scratch.path("adapter_model.safetensors"), tensors);
  fs::copy_file(models_path("tiny-llama-lora/adapter_config.json"), scratch.path("adapter_config.json"),
                fs::copy_options::overwrite_existing);
}

}  // namespace

class AdapterFilesTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_cpu_kernels(); }

  void givesTheLogitsOfPeft_data() {
    QTest::addColumn<QString>("model");
    QTest::newRow("on the folder") << "tiny-llama";
    QTest::newRow("on the gguf") << "tiny-llama-F32.gguf";
  }
  void givesTheLogitsOfPeft() {
    QFETCH(QString, model);
    Context cx(2);
    const auto loaded = load_model(*open_model(models_path(model.toStdString())), cx, {}, {});
    attach_adapter(*loaded, read_adapter(models_path("tiny-llama-lora")), "adapter");
    const SafetensorsFile file(models_path("expected.safetensors"));
    const double error = relative_l2(logits_with(cx, *loaded), file.tensor(*file.find("tuned_logits")));
    QVERIFY2(error < 1e-5, qPrintable(QString::number(error)));
    enable_adapters(*loaded, false);
    QVERIFY(relative_l2(logits_with(cx, *loaded), file.tensor(*file.find("logits"))) < 1e-5);
  }

  void readsBackWhatItWrites() {
    Context cx(1);
    ScratchFolder scratch;
    const auto model = load_model(*open_model(models_path("tiny-llama")), cx, {}, {});
    AdapterSpec spec;
    spec.rank = 3;
    spec.alpha = 7.5;
    spec.dropout = 0.05;
    spec.rslora = true;
    spec.init = "gaussian";
    spec.target_modules = {"v_proj", "q_proj"};
    spec.alpha_pattern = {{"layers.1.self_attn.v_proj", 4}};
    spec.base_model_name = "org/tiny";
    const Method& lora = *methods().get("lora");
    lora.attach(*model, spec);
    const auto parameters = lora.parameters(*model);
    std::vector<std::string> matched;
    for (const LinearShape& s : lora.matched(linear_shapes(model->config()), spec)) matched.push_back(s.name);
    write_adapter(scratch.path("adapter"), spec, parameters, matched);
    const AdapterFiles read = read_adapter(scratch.path("adapter"));
    QCOMPARE(read.tensors.size(), parameters.size());
    for (const NamedParameter& p : parameters) {
      const auto it =
          std::find_if(read.tensors.begin(), read.tensors.end(), [&](const auto& t) { return t.first == p.name; });
      QVERIFY(it != read.tensors.end());
      QVERIFY(std::memcmp(it->second.raw(), p.var->value.raw(), p.var->value.bytes()) == 0);
    }
    QCOMPARE(read.spec.rank, spec.rank);
    QCOMPARE(read.spec.alpha, spec.alpha);
    QCOMPARE(read.spec.dropout, spec.dropout);
    QCOMPARE(read.spec.rslora, true);
    QCOMPARE(read.spec.alpha_pattern, spec.alpha_pattern);
    QVERIFY((read.spec.target_modules == std::vector<std::string>{"q_proj", "v_proj"}));
    // Written again over the old one, with a file of somebody else in it, which stays.
    scratch.write("adapter/README.md", "mine");
    write_adapter(scratch.path("adapter"), spec, parameters, matched);
    QVERIFY(fs::exists(scratch.path("adapter/README.md")));
    QCOMPARE(read_adapter(scratch.path("adapter")).tensors.size(), parameters.size());
    QCOMPARE(std::distance(fs::directory_iterator(scratch.path()), fs::directory_iterator()), std::ptrdiff_t{1});
  }

  void writesOnlyLongStandingKeys() {
    AdapterSpec spec;
    spec.target_modules = {"all-linear"};
    const Json j = adapter_config_json(
        spec, {"model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj", "model.layers.0.mlp.up_proj"});
    const std::vector<std::string> wanted = {"alpha_pattern",
                                             "auto_mapping",
                                             "base_model_name_or_path",
                                             "bias",
                                             "fan_in_fan_out",
                                             "inference_mode",
                                             "init_lora_weights",
                                             "layers_pattern",
                                             "layers_to_transform",
                                             "loftq_config",
                                             "lora_alpha",
                                             "lora_dropout",
                                             "megatron_config",
                                             "megatron_core",
                                             "modules_to_save",
                                             "peft_type",
                                             "r",
                                             "rank_pattern",
                                             "revision",
                                             "target_modules",
                                             "task_type",
                                             "use_dora",
                                             "use_rslora"};
    std::vector<std::string> keys;
    for (const auto& [key, value] : j.items()) keys.push_back(key);
    QCOMPARE(keys, wanted);
    QVERIFY(j["lora_alpha"].is_number_integer());
    QCOMPARE(j["target_modules"], (Json{"q_proj", "up_proj"}));
    QVERIFY(j["base_model_name_or_path"].is_null());
    spec.alpha = 0.5;
    QVERIFY(adapter_config_json(spec, {})["lora_alpha"].is_number_float());
    // A pattern may pick modules that short names would not: full names.
    spec.target_modules = {".*1.*q_proj"};
    spec.target_is_pattern = true;
    QCOMPARE(adapter_config_json(spec, {"model.layers.1.self_attn.q_proj"})["target_modules"],
             (Json::array({"model.layers.1.self_attn.q_proj"})));
  }

  void refusesWhatIsNoPlainLora_data() {
    QTest::addColumn<QString>("key");
    QTest::addColumn<QString>("value");
    QTest::addColumn<QString>("part");
    QTest::newRow("other kind") << "peft_type"
                                << "\"IA3\""
                                << "IA3";
    QTest::newRow("no kind") << "peft_type"
                             << "null"
                             << "missing";
    QTest::newRow("other task") << "task_type"
                                << "\"SEQ_CLS\""
                                << "SEQ_CLS";
    QTest::newRow("dora") << "use_dora"
                          << "true"
                          << "DoRA";
    QTest::newRow("biases") << "bias"
                            << "\"all\""
                            << "biases";
    QTest::newRow("bias on B") << "lora_bias"
                               << "true"
                               << "lora_B";
    QTest::newRow("whole modules") << "modules_to_save"
                                   << "[\"lm_head\"]"
                                   << "whole modules";
    QTest::newRow("token rows") << "trainable_token_indices"
                                << "[1]"
                                << "token rows";
    QTest::newRow("transposed") << "fan_in_fan_out"
                                << "true"
                                << "transposed";
    QTest::newRow("changed base") << "init_lora_weights"
                                  << "\"pissa_niter_4\""
                                  << "changed base weights";
    QTest::newRow("rank 0") << "r"
                            << "0"
                            << "whole number";
    QTest::newRow("rank is text") << "r"
                                  << "\"8\""
                                  << "whole number";
    QTest::newRow("other rank") << "r"
                                << "8"
                                << "adapter_config.json says 8";
    QTest::newRow("huge rank") << "r"
                               << "1e12"
                               << "whole number";
    QTest::newRow("alpha is text") << "lora_alpha"
                                   << "\"x\""
                                   << "a number is wanted";
    QTest::newRow("dropout 1") << "lora_dropout"
                               << "1"
                               << "below 1";
    QTest::newRow("targets a number") << "target_modules"
                                      << "3"
                                      << "list of names";
    QTest::newRow("targets empty") << "target_modules"
                                   << "[]"
                                   << "list of names";
    QTest::newRow("rank pattern a list") << "rank_pattern"
                                         << "[1]"
                                         << "object";
    QTest::newRow("rank pattern broken") << "rank_pattern"
                                         << "{\"(\":2,\"q_proj\":4}"
                                         << "not a valid pattern";
  }
  void refusesWhatIsNoPlainLora() {
    QFETCH(QString, key);
    QFETCH(QString, value);
    QFETCH(QString, part);
    ScratchFolder scratch;
    changed_adapter(scratch, [&](Json& j) { j[key.toStdString()] = parse_json(value.toStdString(), "test"); });
    VERIFY_THROWS(read_adapter(scratch.path()), InputError, part.toStdString());
  }

  void toleratesUnknownKeysAndNulls() {
    ScratchFolder scratch;
    changed_adapter(scratch, [](Json& j) {
      j["from_the_future"] = {{"x", 1}};
      j["lora_dropout"] = nullptr;
      j["use_rslora"] = nullptr;
      j["modules_to_save"] = Json::array();
    });
    QCOMPARE(read_adapter(scratch.path()).spec.rank, int64_t{4});
  }

  void takesTheModulesFromTheTensorsWhenLayersAreChosen() {
    Context cx(1);
    ScratchFolder scratch;
    changed_tensors(scratch, [](auto& t) {
      std::erase_if(t, [](const auto& x) { return x.first.find("layers.0.") != std::string::npos; });
    });
    const auto model = load_model(*open_model(models_path("tiny-llama")), cx, {}, {});
    VERIFY_THROWS(attach_adapter(*model, read_adapter(scratch.path()), scratch.path()), InputError, "has no tensors");
    Json config = read_json_file(scratch.path("adapter_config.json"));
    config["target_modules"] = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};
    config["layers_to_transform"] = {1};
    scratch.write("adapter_config.json", dump_json(config));
    const AdapterFiles adapter = read_adapter(scratch.path());
    QCOMPARE(adapter.spec.target_modules.size(), size_t{7});
    attach_adapter(*model, adapter, scratch.path());
    QVERIFY(model->linears()[0]->adapter() == nullptr);
    QVERIFY(model->linears()[7]->adapter() != nullptr);
  }

  void keepsTheFilesOrderOfPatterns() {
    ScratchFolder scratch;
    changed_adapter(scratch, [](Json& j) {
      j["alpha_pattern"] = {{"layers.1.mlp.down_proj", 3}, {"down_proj", 12}, {"a.*", 1}};
    });
    const AdapterFiles a = read_adapter(scratch.path());
    QCOMPARE(rank_and_alpha(a.spec, "model.layers.1.mlp.down_proj").second, 3.0);
    QCOMPARE(rank_and_alpha(a.spec, "model.layers.0.mlp.down_proj").second, 12.0);
    changed_adapter(scratch, [](Json& j) { j["alpha_pattern"] = {{"down_proj", 12}, {"layers.1.mlp.down_proj", 3}}; });
    QCOMPARE(rank_and_alpha(read_adapter(scratch.path()).spec, "model.layers.1.mlp.down_proj").second, 12.0);
  }

  void refusesDamagedTensors() {
    ScratchFolder scratch;
    changed_tensors(scratch, [](auto& t) { t.pop_back(); });
    VERIFY_THROWS(read_adapter(scratch.path()), InputError, "is missing");
    changed_tensors(scratch,
                    [](auto& t) { t[3].second.template data<float>()[5] = std::numeric_limits<float>::infinity(); });
    VERIFY_THROWS(read_adapter(scratch.path()), InputError, "value 5 is not finite");
    changed_tensors(scratch, [](auto& t) { t[0].first = "base_model.model.lm_head.weight"; });
    VERIFY_THROWS(read_adapter(scratch.path()), InputError, "neither lora_A nor lora_B");
    changed_tensors(scratch, [](auto& t) { t[0].first = "model.x.lora_A.weight"; });
    VERIFY_THROWS(read_adapter(scratch.path()), InputError, "base_model.model.");
    changed_tensors(scratch, [](auto& t) { t.clear(); });
    VERIFY_THROWS(read_adapter(scratch.path()), InputError, "holds no tensor");
    fs::remove(scratch.path("adapter_model.safetensors"));
    scratch.write("adapter_model.bin", "x");
    VERIFY_THROWS(read_adapter(scratch.path()), InputError, "pickle");
    fs::remove(scratch.path("adapter_config.json"));
    VERIFY_THROWS(read_adapter(scratch.path()), InputError, "adapter_config.json");
    VERIFY_THROWS(read_adapter(scratch.path("none")), InputError, "no such file");
  }

  void listsWhatDoesNotFitTheModel() {
    Context cx(1);
    const auto model = load_model(*open_model(models_path("tiny-llama")), cx, {}, {});
    AdapterFiles adapter = read_adapter(models_path("tiny-llama-lora"));
    for (auto& [name, tensor] : adapter.tensors)
      if (const size_t at = name.find("layers.1"); at != std::string::npos) name.replace(at, 8, "layers.9");
    VERIFY_THROWS(attach_adapter(*model, adapter, "adapter"), InputError,
                  "14 tensors do not fit the model; first: the model has no linear layer model.layers.9.");
    adapter = read_adapter(models_path("tiny-llama-lora"));
    adapter.tensors[0].second = Tensor::zeros({4, 31});
    VERIFY_THROWS(attach_adapter(*model, adapter, "adapter"), InputError, "has 31");
  }

  void refusesToWriteThroughALink() {
    ScratchFolder scratch;
    fs::create_directories(scratch.path("elsewhere"));
    fs::create_directory_symlink(scratch.path("elsewhere"), scratch.path("adapter"));
    VERIFY_THROWS(write_adapter(scratch.path("adapter"), {}, {}, {}), RunError, "link");
    QVERIFY(fs::is_empty(scratch.path("elsewhere")));
  }
};

LORIKEET_TEST_MAIN(AdapterFilesTest)
#include "adapter_files_test.moc"
