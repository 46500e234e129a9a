// What inspecting says of each kind of file and folder.
#include "core/io/inspect.h"

#include <functional>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/io/safetensors.h"
#include "tests/core/io/file_makers.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

class InspectTest : public QObject {
  Q_OBJECT
 private slots:
  void namesTheKind_data() {
    QTest::addColumn<QString>("path");
    QTest::addColumn<QString>("kind");
    const auto row = [](const char* path, const char* kind) { QTest::newRow(path) << path << kind; };
    row("tiny-llama", "model");
    row("tiny-llama-sharded", "model");
    row("tiny-llama-nf4", "model");
    row("tiny-llama-Q8_0.gguf", "model");
    row("tiny-llama/model.safetensors", "model");
    row("tiny-llama/config.json", "model");
    row("tiny-llama-sharded/model.safetensors.index.json", "model");
    row("expected.safetensors", "model");
    row("tiny-llama-lora", "adapter");
    row("tiny-llama-lora/adapter_config.json", "adapter");
    row("tiny-llama-lora/adapter_model.safetensors", "adapter");
    row("tiny-llama/tokenizer.json", "tokenizer");
    row("tiny-llama/tokenizer_config.json", "tokenizer");
    row("tiny-llama/chat_template.jinja", "tokenizer");
    row("tiny-llama/generation_config.json", "data");  // a JSON object of no kind known here
  }
  void namesTheKind() {
    QFETCH(QString, path);
    QFETCH(QString, kind);
    const Json j = inspect_file_or_folder(data_path("models/" + path.toStdString()));
    QCOMPARE(QString::fromStdString(j["kind"].get<std::string>()), kind);
    for (const char* key :
         {"architecture", "parameters", "context_length", "formats", "tokenizer", "chat_template", "warnings"})
      QVERIFY2(j.contains(key), key);
  }

  void describesAModel() {
    const Json j = inspect_file_or_folder(data_path("models/tiny-llama-Q8_0.gguf"));
    QCOMPARE(QString::fromStdString(j["architecture"].get<std::string>()), QString("LlamaForCausalLM"));
    QCOMPARE(j["parameters"].get<int64_t>(), int64_t{28320});
    QCOMPARE(j["context_length"].get<int64_t>(), int64_t{256});
    QCOMPARE(j["formats"]["Q8_0"]["tensors"].get<int>(), 15);
    QCOMPARE(j["formats"]["F32"]["tensors"].get<int>(), 5);
    QCOMPARE(j["tokenizer"]["vocab_size"].get<int>(), 300);
    QVERIFY(j["chat_template"].get<std::string>().find("im_start") != std::string::npos);
    QVERIFY(j["warnings"].empty());
  }

  void looksAtEveryValue() {
    ScratchFolder scratch;
    std::string bytes = read_file(data_path("models/expected.safetensors"));
    const float inf = std::numeric_limits<float>::infinity();
    std::memcpy(bytes.data() + bytes.size() - 400 - (bytes.size() - 400) % 4, &inf, 4);
    VERIFY_THROWS(inspect_file_or_folder(scratch.write("t.safetensors", bytes)), InputError, "not finite");
    GgufMaker m = small_llama();
    const uint32_t nan = 0x7fc00000;
    std::memcpy(m.data[0].data() + 40, &nan, 4);
    VERIFY_THROWS(inspect_file_or_folder(scratch.write("m.gguf", m.bytes())), InputError,
                  "model.embed_tokens.weight: a value in row 1, column 2");
  }

  void checksTheTemplateOfAModel() {
    GgufMaker m = small_llama();
    m.string("tokenizer.chat_template", "{% for m in messages %}");
    ScratchFolder scratch;
    VERIFY_THROWS(inspect_file_or_folder(scratch.write("m.gguf", m.bytes())), InputError, "template");
  }

  void readsGgufAdaptersAndVocabularies() {
    ScratchFolder scratch;
    GgufMaker adapter;
    adapter.string("general.architecture", "llama").string("general.type", "adapter").f32("adapter.lora.alpha", 16);
    adapter.string("adapter.type", "lora");
    adapter.tensor("blk.0.attn_q.weight.lora_a", {8, 2}).tensor("blk.0.attn_q.weight.lora_b", {2, 8});
    const Json j = inspect_file_or_folder(scratch.write("a.gguf", adapter.bytes()));
    QCOMPARE(QString::fromStdString(j["kind"].get<std::string>()), QString("adapter"));
    QCOMPARE(j["parameters"].get<int>(), 32);
    adapter.tensor("blk.0.attn_k.weight.lora_a", {8, 2});
    VERIFY_THROWS(inspect_file_or_folder(scratch.write("a.gguf", adapter.bytes())), InputError, "no other half");
    GgufMaker vocabulary;
    vocabulary.string("general.architecture", "gpt2")
        .string("tokenizer.ggml.model", "gpt2")
        .string("tokenizer.ggml.pre", "gpt-2");
    vocabulary.strings("tokenizer.ggml.tokens", {"a", "b", "ab"}).strings("tokenizer.ggml.merges", {"a b"});
    QCOMPARE(QString::fromStdString(
                 inspect_file_or_folder(scratch.write("v.gguf", vocabulary.bytes()))["kind"].get<std::string>()),
             QString("tokenizer"));
    VERIFY_THROWS(inspect_file_or_folder(scratch.write("e.gguf", GgufMaker().bytes())), InputError,
                  "neither tensors nor a tokenizer");
  }

  void leavesTextToTheDataReader() {
    ScratchFolder scratch;
    for (const char* name : {"rows.jsonl", "rows.csv", "text.txt", "no_extension"})
      QCOMPARE(QString::fromStdString(
                   inspect_file_or_folder(scratch.write(name, "{\"text\": \"a\"}\n"))["kind"].get<std::string>()),
               QString("data"));
    QCOMPARE(QString::fromStdString(inspect_file_or_folder(scratch.path())["kind"].get<std::string>()),
             QString("data"));
    VERIFY_THROWS(inspect_file_or_folder(scratch.write("model.bin", "PK")), InputError, "pickle");
    VERIFY_THROWS(inspect_file_or_folder(scratch.path("none")), InputError, "no such file or folder");
    fs::create_directories(scratch.path("empty"));
    VERIFY_THROWS(inspect_file_or_folder(scratch.path("empty")), InputError, "holds no model");
    VERIFY_THROWS(inspect_file_or_folder("/dev/null"), InputError, "no regular file");
  }

  void checksTheDefaultModel() {
    const std::string path = default_model();
    if (path.empty()) QSKIP("the default model was not fetched (./studio model)");
    const Json j = inspect_file_or_folder(path);
    QCOMPARE(j["parameters"].get<int64_t>(), int64_t{134515008});
    QCOMPARE(j["formats"]["Q4_1"]["tensors"].get<int>(), 210);
  }
};

LORIKEET_TEST_MAIN(InspectTest)
#include "inspect_test.moc"
