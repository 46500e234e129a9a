// The tokenizer of a model folder: which files count, where special tokens and stop ids come from.
#include "core/base/error.h"
#include "tests/core/text/token_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

class TokenizerFolderTest : public QObject {
  Q_OBJECT
 private slots:
  void isNothingWithoutAVocabulary() {
    ScratchFolder f;
    QVERIFY(!tokenizer_from_folder(f.path()));
    f.write("tokenizer_config.json", "{}");
    QVERIFY(!tokenizer_from_folder(f.path()));
  }

  void gathersSpecialTokensAndStopIds() {
    ScratchFolder f;
    f.write("tokenizer.json", bytes_of("smollm_like.json"));
    f.write("tokenizer_config.json", R"({"bos_token":"<|im_start|>","eos_token":{"content":"<|im_end|>"},"pad_token":"<|endoftext|>","model_max_length":1e30,"add_bos_token":true})");
    f.write("generation_config.json", R"({"eos_token_id":[2,0]})");
    f.write("config.json", R"({"eos_token_id":5,"bos_token_id":7})");
    const auto t = tokenizer_from_folder(f.path());
    QCOMPARE(t->bos.value(), 1);
    QCOMPARE(t->eos.value(), 2);
    QCOMPARE(t->pad.value(), 0);
    QCOMPARE(shown(t->stop_ids), std::string("2 0 5 "));
    QCOMPARE(shown(t->encode("a", {true, true})), shown(t->encode("a")));  // tokenizer.json says what is added
  }

  void idsOfConfigFillWhatNamesLeaveOpen() {
    ScratchFolder f;
    f.write("tokenizer.json", bytes_of("smollm_like.json"));
    f.write("config.json", R"({"eos_token_id":2,"bos_token_id":1,"pad_token_id":-1})");
    const auto t = tokenizer_from_folder(f.path());
    QCOMPARE(t->eos.value(), 2);
    QCOMPARE(t->bos.value(), 1);
    QVERIFY(!t->pad);
    f.write("config.json", R"({"eos_token_id":99999999})");
    QVERIFY(!tokenizer_from_folder(f.path())->eos);  // an id the vocabulary lacks
  }

  void addsTokensOfTheConfig() {
    ScratchFolder f;
    f.write("tokenizer.json", bytes_of("smollm_like.json"));
    f.write("tokenizer_config.json", R"({"added_tokens_decoder":{"500":{"content":"<new>","special":true},"501":{"content":"<plain>","rstrip":true,"normalized":false}}})");
    const auto t = tokenizer_from_folder(f.path());
    QCOMPARE(shown(t->encode("<new><plain>  ")), std::string("500 501 "));
    QVERIFY(t->is_special(500) && !t->is_special(501));
    QCOMPARE(t->vocab_size(), int64_t{502});
    QCOMPARE(shown(t->encode("<plain>", {false, false})), std::string("501 "));
  }

  void readsVocabularyAndMerges() {
    ScratchFolder f;
    const Json j = json_of("qwen2_like.json");
    std::string merges = "#version: 0.2\r\n";
    for (const Json& m : j["model"]["merges"]) merges += (m.is_string() ? m.get<std::string>() : m[0].get<std::string>() + " " + m[1].get<std::string>()) + "\r\n";
    f.write("vocab.json", dump_json(j["model"]["vocab"]));
    f.write("merges.txt", merges);
    f.write("tokenizer_config.json", R"({"tokenizer_class":"Qwen2Tokenizer","eos_token":"<|im_end|>","additional_special_tokens":["<|im_start|>","<|endoftext|>"]})");
    const auto t = tokenizer_from_folder(f.path());
    const Json golden = json_of("qwen2_like.golden.json");
    for (const Json& row : golden["texts"]) {
      const std::string wrong = id_difference(*t, row["text"], row["ids"]);
      QVERIFY2(wrong.empty(), wrong.c_str());
    }
    f.write("merges.txt", merges + "broken line here\n");
    VERIFY_THROWS(tokenizer_from_folder(f.path()), InputError, "line ");
  }

  void readsASentencePieceModel() {
    ScratchFolder f;
    f.write("tokenizer.model", bytes_of("sp_bpe.model"));
    f.write("added_tokens.json", R"({"<|chat|>":560})");
    const auto t = tokenizer_from_folder(f.path());
    QCOMPARE(t->encode("hi", {true, true}).front(), t->bos.value());
    QCOMPARE(t->encode("<|chat|>").front(), 560);
    QCOMPARE(t->eos.value(), 2);
    f.write("tokenizer_config.json", R"({"add_bos_token":false,"add_eos_token":true})");
    const auto changed = tokenizer_from_folder(f.path())->encode("hi", {true, true});
    QVERIFY(changed.front() != t->bos.value() && changed.back() == t->eos.value());
  }

  void brokenFilesAreNamed_data() {
    QTest::addColumn<QString>("file");
    QTest::addColumn<QString>("content");
    QTest::newRow("config is a list") << "tokenizer_config.json" << "[1]";
    QTest::newRow("config truncated") << "tokenizer_config.json" << "{\"eos_token\":";
    QTest::newRow("token id") << "tokenizer_config.json" << R"({"added_tokens_decoder":{"x":{"content":"a"}}})";
    QTest::newRow("huge token id") << "tokenizer_config.json" << R"({"added_tokens_decoder":{"99999999999":{"content":"a"}}})";
    QTest::newRow("content") << "tokenizer_config.json" << R"({"added_tokens_decoder":{"9":{"content":7}}})";
    QTest::newRow("not an object") << "tokenizer_config.json" << R"({"added_tokens_decoder":{"9":7}})";
    QTest::newRow("eos text") << "generation_config.json" << R"({"eos_token_id":"two"})";
    QTest::newRow("eos list") << "config.json" << R"({"eos_token_id":[2,[3]]})";
    QTest::newRow("tokenizer") << "tokenizer.json" << "{}";
  }
  void brokenFilesAreNamed() {
    QFETCH(QString, file);
    QFETCH(QString, content);
    ScratchFolder f;
    f.write("tokenizer.json", bytes_of("smollm_like.json"));
    f.write(file.toStdString(), content.toStdString());
    VERIFY_THROWS(tokenizer_from_folder(f.path()), InputError, file.toStdString());
  }
};

LORIKEET_TEST_MAIN(TokenizerFolderTest)
#include "tokenizer_folder_test.moc"
