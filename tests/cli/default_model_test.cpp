// The headless program on the default model: published token ids, the chat template, greedy text.
#include <cstdlib>

#include "core/base/files.h"
#include "core/base/json.h"
#include "tests/support/support.h"

using namespace lorikeet;

namespace {

Json answer_of(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), LORIKEET_PROGRAM);
  arguments.push_back("--json");
  const auto r = test::run_program(arguments, 300000);
  if (r.code != 0) qWarning("exit %d: %s", r.code, r.err.c_str());
  return r.code == 0 ? parse_json(r.out, "stdout") : Json();
}

}  // namespace

class DefaultModelTest : public QObject {
  Q_OBJECT

  std::string model_;
  test::ScratchFolder scratch_;

 private slots:
  void initTestCase() {
    model_ = test::default_model();
    if (model_.empty() && std::getenv("LORIKEET_REQUIRE_MODEL")) QFAIL("the default model is required here; run ./studio model");
    if (model_.empty()) QSKIP("the default model is not in the cache folder; run ./studio model");
  }
  void tokenIdsAreThePublishedOnes_data() {
    QTest::addColumn<QByteArray>("text");
    QTest::addColumn<QByteArray>("ids");
    QTest::newRow("hello") << QByteArray("Hello, we can use") << QByteArray("[19556,28,392,416,722]");
    QTest::newRow("digits") << QByteArray("Hello world! 123") << QByteArray("[19556,905,17,216,33,34,35]");
    QTest::newRow("accents") << QByteArray("Caf\xC3\xA9 d\xC3\xA9j\xC3\xA0 vu.") << QByteArray("[51,1939,2756,32564,90,16739,386,101,30]");
    QTest::newRow("blanks") << QByteArray("  multiple   spaces") << QByteArray("[216,2701,256,5600]");
  }
  void tokenIdsAreThePublishedOnes() {
    QFETCH(QByteArray, text);
    QFETCH(QByteArray, ids);
    const Json j = answer_of({"tokenize", "--model", model_, "--text", text.toStdString()});
    QCOMPARE(QByteArray::fromStdString(dump_json(j["ids"])), ids);
    std::string list;
    for (const auto& id : j["ids"]) list += (list.empty() ? "" : ",") + std::to_string(id.get<int>());
    QCOMPARE(QByteArray::fromStdString(answer_of({"detokenize", "--model", model_, "--ids", list})["text"].get<std::string>()), text);
  }
  void rendersChatMl() {
    const std::string messages = scratch_.write("m.json", R"([{"role":"system","content":"S"},{"role":"user","content":"U"}])");
    const Json j = answer_of({"render", "--model", model_, "--messages", messages, "--add-generation-prompt"});
    QCOMPARE(j["text"].get<std::string>(), std::string("<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n"));
    QCOMPARE(j["ids"][0].get<int>(), 1);
  }
  void inspectNamesThePartsOfTheModel() {
    const Json j = answer_of({"inspect", model_});
    QCOMPARE(j["kind"].get<std::string>(), std::string("model"));
    QCOMPARE(j["parameters"].get<int64_t>(), int64_t{134515008});
    QCOMPARE(j["context_length"].get<int64_t>(), int64_t{8192});
  }
  void greedyTextIsReproducible() {
    const std::vector<std::string> call = {"generate", "--model", model_, "--prompt", "The capital of France is", "--max-new-tokens", "8"};
    const Json a = answer_of(call), b = answer_of(call);
    QCOMPARE(a["ids"], b["ids"]);
    QVERIFY(a["text"].get<std::string>().find("Paris") != std::string::npos);
    QCOMPARE(a["stop_reason"].get<std::string>(), std::string("max_new_tokens"));
    QVERIFY(a["tokens_per_s"].get<double>() > 0 && a["prompt_tokens_per_s"].get<double>() > 0);
    for (const char* cache : {"bf16", "int8"}) {
      auto other = call;
      other.insert(other.end(), {"--kv-cache", cache});
      const Json c = answer_of(other);
      QCOMPARE(c["kv_cache"].get<std::string>(), std::string(cache));
      QVERIFY(c["text"].get<std::string>().find("Paris") != std::string::npos);
    }
  }
  void aPromptLongerThanTheContextIsRefused() {
    std::string prompt;
    for (int i = 0; i < 9000; ++i) prompt += " word";
    const auto r = test::run_program({LORIKEET_PROGRAM, "generate", "--model", model_, "--prompt", prompt});
    QCOMPARE(r.code, 3);
    QVERIFY(r.err.find("8192") != std::string::npos);
  }
};

LORIKEET_TEST_MAIN(DefaultModelTest)
#include "default_model_test.moc"
