// Tokenizers of GGUF metadata: the same ids as the tokenizer.json they were made from, and refusals of bad metadata.
#include <cmath>

#include "core/base/error.h"
#include "tests/core/text/token_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

// What a converter writes for one of our tokenizer.json files.
GgufTokenizerData data_of(const std::string& name, const std::string& pre) {
  const Json j = json_of(name + ".json");
  GgufTokenizerData d;
  d.model = "gpt2";
  d.pre = pre;
  d.tokens.resize(j["model"]["vocab"].size());
  d.token_types.assign(d.tokens.size(), 1);
  for (const auto& [text, id] : j["model"]["vocab"].items()) d.tokens[id.get<size_t>()] = text;
  for (const Json& m : j["model"]["merges"]) d.merges.push_back(m.is_string() ? m.get<std::string>() : m[0].get<std::string>() + " " + m[1].get<std::string>());
  for (const Json& t : j["added_tokens"]) d.token_types[t["id"].get<size_t>()] = 3;
  d.bos = 0;
  d.eos = 2;
  return d;
}

}  // namespace

class TokenizerGgufTest : public QObject {
  Q_OBJECT
 private slots:
  void matchesTheTokenizerJson_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<QString>("pre");
    QTest::newRow("smollm") << "smollm_like" << "smollm";
    QTest::newRow("qwen2") << "qwen2_like" << "qwen2";
    QTest::newRow("llama-bpe") << "llama3_like" << "llama-bpe";
  }
  void matchesTheTokenizerJson() {
    QFETCH(QString, name);
    QFETCH(QString, pre);
    const auto t = tokenizer_from_gguf(data_of(name.toStdString(), pre.toStdString()), "m.gguf");
    const Json golden = json_of(name.toStdString() + ".golden.json");
    for (const Json& row : golden["texts"]) {
      const std::string text = row["text"], wrong = id_difference(*t, text, row["ids"]);
      QVERIFY2(wrong.empty(), wrong.c_str());
      const std::string special = id_difference(*t, text, row.contains("with_special") ? row["with_special"] : row["ids"], {true, true});
      QVERIFY2(special.empty(), special.c_str());
    }
    QCOMPARE(t->fingerprint(), tokenizer_from_json(bytes_of(name.toStdString() + ".json"), "t")->fingerprint());
  }

  void stopsAtEveryKindOfTurnEnd() {
    GgufTokenizerData d = data_of("smollm_like", "smollm");
    d.tokens.insert(d.tokens.end(), {"<|eot_id|>", "<plain>", "<end_of_turn>"});
    d.token_types.insert(d.token_types.end(), {3, 1, 1});
    const auto n = static_cast<int32_t>(d.tokens.size());
    d.eot = n - 2;
    const auto t = tokenizer_from_gguf(d, "m.gguf");
    // eos, eot, then control tokens known to end a turn; a normal token of such a name is just text.
    QCOMPARE(shown(t->stop_ids), shown(std::vector<int32_t>{2, n - 2, n - 3, 0}));
  }

  void addsWhatTheMetadataSays() {
    GgufTokenizerData d = data_of("smollm_like", "smollm");
    const size_t plain = tokenizer_from_gguf(d, "m")->encode("a b", {true, true}).size();
    d.add_bos = true;
    d.add_eos = true;
    const auto ids = tokenizer_from_gguf(d, "m")->encode("a b", {true, true});
    QCOMPARE(ids.size(), plain + 2);
    QCOMPARE(ids.front(), 0);
    QCOMPARE(ids.back(), 2);
    d.pre = "llama-bpe";
    d.add_bos = false;
    QVERIFY(tokenizer_from_gguf(d, "m")->encode("a b", {true, true}).front() != 0);
  }

  void userDefinedTokensAreFoundInEveryText() {
    GgufTokenizerData d = data_of("smollm_like", "smollm");
    d.tokens.push_back("<tool>");
    d.token_types.push_back(4);
    const auto t = tokenizer_from_gguf(d, "m");
    const auto id = static_cast<int32_t>(d.tokens.size()) - 1;
    QCOMPARE(t->encode("<tool>", {false, false}), std::vector<int32_t>{id});
    QVERIFY(!t->is_special(id));
    QVERIFY(t->encode("<|im_end|>", {false, false}).size() > 1);
  }

  void badMetadataIsRefused_data() {
    QTest::addColumn<QString>("what");
    for (const char* n : {"no tokens", "merge of unknown", "merge without blank", "types too few", "type unknown", "bos too large", "eos negative", "pre unknown", "model unknown", "no merges"})
      QTest::newRow(n) << n;
  }
  void badMetadataIsRefused() {
    QFETCH(QString, what);
    GgufTokenizerData d = data_of("smollm_like", "smollm");
    std::string part = "merges[3]";
    if (what == "no tokens") d.tokens.clear(), d.token_types.clear(), part = "tokens";
    else if (what == "merge of unknown") d.merges[3] = "nobody knows";
    else if (what == "merge without blank") d.merges[3] = "x";
    else if (what == "types too few") d.token_types.pop_back(), part = "token_type";
    else if (what == "type unknown") d.token_types[5] = 7, part = "token_type[5]";
    else if (what == "bos too large") d.bos = 1 << 30, part = "bos_token_id";
    else if (what == "eos negative") d.eos = -1, part = "eos_token_id";
    else if (what == "pre unknown") d.pre = "martian", part = "martian";
    else if (what == "model unknown") d.model = "bert", part = "bert";
    else d.merges.clear(), part = "merges";
    VERIFY_THROWS(tokenizer_from_gguf(d, "some.gguf"), InputError, part);
    VERIFY_THROWS(tokenizer_from_gguf(d, "some.gguf"), InputError, "some.gguf");
  }

  void badScoresAreRefused() {
    GgufTokenizerData d;
    d.model = "llama";
    d.tokens = {"<unk>", "<s>", "</s>", "a"};
    d.token_types = {2, 3, 3, 1};
    d.scores = {0, 0, 0};
    VERIFY_THROWS(tokenizer_from_gguf(d, "m.gguf"), InputError, "scores");
    d.scores = {0, 0, 0, std::nanf("")};
    VERIFY_THROWS(tokenizer_from_gguf(d, "m.gguf"), InputError, "scores[3]");
    d.scores = {0, 0, 0, -1};
    QCOMPARE(shown(tokenizer_from_gguf(d, "m.gguf")->encode("a\u00e9")), std::string("0 3 0 "));  // ▁ and é are in no piece
  }
};

LORIKEET_TEST_MAIN(TokenizerGgufTest)
#include "tokenizer_gguf_test.moc"
