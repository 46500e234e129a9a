// Real vocabularies with ids from the original libraries. The files are not part of the repository: extra checks.
#include <map>

#include "core/io/gguf.h"
#include "core/text/byte_alphabet.h"
#include "core/text/chat_template.h"
#include "tests/core/text/token_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

std::optional<unsigned char> base64_value(char c) {
  const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const size_t at = alphabet.find(c);
  if (at == std::string::npos) return std::nullopt;
  return static_cast<unsigned char>(at);
}

std::string from_base64(const std::string& text) {
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const auto v = base64_value(c);
    if (!v) break;
    bits = bits << 6 | *v;
    count += 6;
    if (count >= 8) out += static_cast<char>(bits >> (count -= 8) & 0xFF);
  }
  return out;
}

// A rank file ("base64 rank" a line) as vocabulary and merges: the last merge of a token is what its bytes become under
// the merges of lower rank.
GgufTokenizerData ranks(const std::string& path, const std::string& pre) {
  std::map<std::string, int> rank;
  GgufTokenizerData d;
  d.model = "gpt2";
  d.pre = pre;
  const std::string all = read_file(path);
  for (size_t at = 0; at < all.size();) {
    const size_t end = std::min(all.find('\n', at), all.size()), blank = all.find(' ', at);
    rank[from_base64(all.substr(at, blank - at))] = static_cast<int>(rank.size());
    at = end + 1;
  }
  d.tokens.resize(rank.size());
  std::vector<std::string> bytes(rank.size());
  for (const auto& [text, r] : rank) bytes[static_cast<size_t>(r)] = text, d.tokens[static_cast<size_t>(r)] = to_byte_alphabet(text);
  for (size_t r = 0; r < bytes.size(); ++r) {
    std::vector<std::string> parts;
    for (const char c : bytes[r]) parts.emplace_back(1, c);
    while (parts.size() > 2) {
      int best = static_cast<int>(r);
      size_t where = 0;
      for (size_t i = 0; i + 1 < parts.size(); ++i) {
        const auto it = rank.find(parts[i] + parts[i + 1]);
        if (it != rank.end() && it->second < best) best = it->second, where = i;
      }
      if (best == static_cast<int>(r)) break;
      parts[where] += parts[where + 1];
      parts.erase(parts.begin() + static_cast<ptrdiff_t>(where) + 1);
    }
    if (parts.size() == 2) d.merges.push_back(to_byte_alphabet(parts[0]) + " " + to_byte_alphabet(parts[1]));
  }
  return d;
}

}  // namespace

class TokenizerOraclesTest : public QObject {
  Q_OBJECT

  void compare(const Tokenizer& t, const std::string& base, size_t texts, bool round_trip, EncodeOptions o = {}) {
    const auto rows = oracle(base);
    QCOMPARE(rows.size(), texts);
    for (const auto& [text, ids] : rows) {
      const auto found = t.encode(text, o);
      QVERIFY2(found == ids, (text.substr(0, 200) + ": expected " + shown(ids) + " found " + shown(found)).c_str());
      if (round_trip) QCOMPARE(t.decode(found), text);
    }
  }

 private slots:
  void gpt2OfTokenizerJson() {
    const std::string folder = shared_data("tokenizers");
    if (folder.empty()) QSKIP("needs the shared tokenizer files");
    compare(*tokenizer_from_json(read_file(folder + "/gpt2-hf/tokenizer.json"), "tokenizer.json"), folder + "/llama.cpp/ggml-vocab-gpt-2.gguf", 46, true);
  }
  void vocabulariesInGguf_data() {
    QTest::addColumn<QString>("name");
    for (const char* n : {"gpt-2", "phi-3"}) QTest::newRow(n) << n;
  }
  void vocabulariesInGguf() {
    QFETCH(QString, name);
    const std::string folder = shared_data("tokenizers");
    if (folder.empty()) QSKIP("needs the shared tokenizer files");
    const std::string path = folder + "/llama.cpp/ggml-vocab-" + name.toStdString() + ".gguf";
    const auto t = tokenizer_from_gguf(tokenizer_of_gguf(GgufFile(path)), path);
    compare(*t, path, 46, true);
  }
  void qwen2OfVocabularyAndMerges() {
    const std::string folder = shared_data("tokenizers");
    if (folder.empty()) QSKIP("needs the shared tokenizer files");
    const auto t = tokenizer_from_folder(folder + "/qwen2");
    QVERIFY(t);
    compare(*t, folder + "/llama.cpp/ggml-vocab-qwen2.gguf", 46, true);
    QCOMPARE(t->eos.value(), 151643);
    QCOMPARE(shown(t->encode("<|im_start|>hi<|im_end|>")), std::string("151644 6023 151645 "));
    QVERIFY(t->encode("<|im_start|>", {false, false}).size() > 3);
  }
  void sentencePieceModels_data() {
    QTest::addColumn<QString>("path");
    QTest::addColumn<int>("texts");
    QTest::newRow("open_llama_3b, BPE") << "open_llama_3b/tokenizer.model" << 104;
    QTest::newRow("test_model, unigram") << "sentencepiece/test_model.model" << 92;
  }
  void sentencePieceModels() {
    QFETCH(QString, path);
    QFETCH(int, texts);
    const std::string folder = shared_data("tokenizers");
    if (folder.empty()) QSKIP("needs the shared tokenizer files");
    const std::string file = folder + "/" + path.toStdString();
    compare(*tokenizer_from_sentencepiece(read_file(file), file), file, static_cast<size_t>(texts), false);
  }
  void rankFiles_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<QString>("pre");
    QTest::newRow("r50k_base, GPT-2 pattern") << "r50k_base" << "gpt-2";
    QTest::newRow("cl100k_base, Llama 3 pattern") << "cl100k_base" << "dbrx";
  }
  void rankFiles() {
    QFETCH(QString, name);
    QFETCH(QString, pre);
    const std::string folder = shared_data("tokenizers");
    if (folder.empty()) QSKIP("needs the shared tokenizer files");
    const auto t = tokenizer_from_gguf(ranks(folder + "/tiktoken/" + name.toStdString() + ".tiktoken", pre.toStdString()), "ranks");
    const std::string plans = read_file(folder + "/tiktoken/TestPlans.txt"), head = "EncodingName: " + name.toStdString() + "\nSample: ";
    int checked = 0;
    for (size_t at = plans.find(head); at != std::string::npos; at = plans.find(head, at + 1)) {
      const size_t begin = at + head.size(), end = plans.find("\nEncoded: ", begin), stop = plans.find(']', end);
      const std::string text = plans.substr(begin, end - begin);
      const std::string wrong = id_difference(*t, text, Json::parse(plans.substr(end + 10, stop + 1 - end - 10)));
      QVERIFY2(wrong.empty(), wrong.c_str());
      ++checked;
    }
    QCOMPARE(checked, 64);
  }
  void theDefaultModelsVectors() {
    if (default_model().empty()) QSKIP("needs the default model (./studio model)");
    const auto t = tokenizer_from_gguf(tokenizer_of_gguf(GgufFile(default_model())), default_model());
    const std::vector<std::pair<std::string, std::string>> vectors = {
        {"Hello, we can use", "19556 28 392 416 722 "}, {"Hello world! 123", "19556 905 17 216 33 34 35 "}, {"The capital of France is", "504 3575 282 4649 314 "},
        {"\n", "198 "}, {"Café déjà vu.", "51 1939 2756 32564 90 16739 386 101 30 "}, {"  multiple   spaces", "216 2701 256 5600 "}};
    for (const auto& [text, ids] : vectors) QCOMPARE(shown(t->encode(text)), ids);
    QCOMPARE(t->bos.value(), 1);
    QCOMPARE(t->eos.value(), 2);
    QCOMPARE(t->stop_ids.front(), 2);
    QCOMPARE(t->vocab_size(), int64_t{49152});
    QCOMPARE(shown(t->encode("hi", {true, true})), shown(t->encode("hi")));  // add_bos_token is false
    QCOMPARE(shown(t->encode("<|im_start|>user\nhi<|im_end|>")), std::string("1 4093 198 6004 2 "));
  }

  void theDefaultModelsTemplateRenders() {
    if (default_model().empty()) QSKIP("needs the default model (./studio model)");
    const auto source = GgufFile(default_model()).text("tokenizer.chat_template");
    QVERIFY(source.has_value());
    const std::string text = ChatTemplate(*source, "t.jinja").render({{"messages", {{{"role", "user"}, {"content", "hi"}}}}, {"add_generation_prompt", true}}).text;
    QVERIFY2(text.starts_with("<|im_start|>system\nYou are") && text.ends_with("<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"), text.c_str());
  }
};

LORIKEET_TEST_MAIN(TokenizerOraclesTest)
#include "tokenizer_oracles_test.moc"
