// tokenizer.model files: ids of the reference, special tokens in the text, and files made to break the library.
#include <cmath>
#include <cstring>

#include "core/base/error.h"
#include "core/base/system.h"
#include "core/text/sentencepiece_proto.h"
#include "tests/core/text/token_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

std::string varint(uint64_t v) {
  std::string out;
  for (; v >= 0x80; v >>= 7) out += static_cast<char>(v | 0x80);
  return out + static_cast<char>(v);
}
std::string field(int number, const std::string& bytes) { return varint(static_cast<uint64_t>(number) << 3 | 2) + varint(bytes.size()) + bytes; }
std::string number(int field, uint64_t v) { return varint(static_cast<uint64_t>(field) << 3) + varint(v); }
std::string piece(const std::string& text, float score, int type) {
  char raw[4];
  std::memcpy(raw, &score, 4);
  return field(1, field(1, text) + varint(2 << 3 | 5) + std::string(raw, 4) + number(3, static_cast<uint64_t>(type)));
}
std::string tiny(const std::string& more = {}) { return piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3) + piece("\u2581a", -1, 1) + piece("a", -2, 1) + more; }

bool survives(const std::string& bytes) {
  try {
    tokenizer_from_sentencepiece(bytes, "broken.model")->encode("Hello  world é 日本 <s>");
    return true;
  } catch (const InputError&) {
    return false;
  }
}

}  // namespace

class SentencePieceModelTest : public QObject {
  Q_OBJECT
 private slots:
  void matchesTheReference_data() {
    QTest::addColumn<QString>("name");
    for (const char* n : {"sp_bpe", "sp_unigram", "sp_unigram_user"}) QTest::newRow(n) << n;
  }
  void matchesTheReference() {
    QFETCH(QString, name);
    const auto t = tokenizer_from_sentencepiece(bytes_of(name.toStdString() + ".model"), "m.model");
    const Json golden = json_of(name.toStdString() + ".golden.json");
    QVERIFY(golden["texts"].size() > 80);
    for (const Json& row : golden["texts"]) {
      const std::string text = row["text"], wrong = id_difference(*t, text, row["ids"]);
      QVERIFY2(wrong.empty(), wrong.c_str());
      for (const auto& p : t->encode_pieces(text, {})) QVERIFY(p.begin <= p.end && p.end <= text.size());
    }
  }

  // The same vocabulary as a GGUF carries it: our own merging by scores gives what the library gives.
  void scoredMergingEqualsTheLibrary() {
    const SentencePieceProto proto = read_sentencepiece_proto(bytes_of("sp_bpe.model"), "sp_bpe.model");
    GgufTokenizerData d;
    d.model = "llama";
    for (const auto& p : proto.pieces) {
      d.tokens.push_back(p.text);
      d.scores.push_back(p.score);
      d.token_types.push_back(static_cast<int>(p.type));
    }
    d.bos = proto.bos_id;
    d.eos = proto.eos_id;
    d.unk = proto.unk_id;
    const auto t = tokenizer_from_gguf(d, "m.gguf");
    const Json golden = json_of("sp_bpe.golden.json");
    for (const Json& row : golden["texts"]) {
      const std::string wrong = id_difference(*t, row["text"], row["ids"]);
      QVERIFY2(wrong.empty(), wrong.c_str());
    }
    QCOMPARE(t->encode("a", {true, true}).front(), proto.bos_id);
    QCOMPARE(t->kind(), std::string("SentencePiece BPE"));
    QCOMPARE(t->decode(t->encode("Hi  there 日本 😀")), std::string("Hi  there 日本 😀"));
  }

  void specialTokensAreFoundOnlyWhenAsked() {
    const auto t = tokenizer_from_sentencepiece(bytes_of("sp_bpe.model"), "m.model");
    const auto with = t->encode("<s>hi</s>"), without = t->encode("<s>hi</s>", {false, false});
    QCOMPARE(with.front(), t->bos.value());
    QCOMPARE(with.back(), t->eos.value());
    for (const int32_t id : without) QVERIFY(!t->is_special(id));
    QCOMPARE(t->decode(without), std::string("<s>hi</s>"));
    QCOMPARE(t->stop_ids, std::vector<int32_t>{t->eos.value()});
    QCOMPARE(t->encode("hi", {true, true}).front(), t->bos.value());
  }

  void byteTokensCoverOneByteEach() {
    const auto t = tokenizer_from_sentencepiece(bytes_of("sp_bpe.model"), "m.model");
    const std::string text = "𝔘";  // four bytes, in no piece
    uint32_t end = 0;
    int bytes = 0;
    for (const auto& p : t->encode_pieces(text, {})) {
      if (t->token_text(p.id).substr(0, 3) != "<0x") continue;
      QCOMPARE(p.begin, end);
      QCOMPARE(p.end, end + 1);
      QCOMPARE(t->token_bytes(p.id), text.substr(p.begin, 1));
      end = p.end;
      ++bytes;
    }
    QCOMPARE(bytes, 4);
  }

  void longRunsTakeLinearTime() {
    for (const char* name : {"sp_unigram", "sp_bpe"}) {
      const auto t = tokenizer_from_sentencepiece(bytes_of(std::string(name) + ".model"), "m.model");
      for (const std::string unit : {"a", "𝔘", "ab", " ", "\u0e01"}) {
        std::string text;
        while (text.size() < (1u << 20)) text += unit;
        const double start = monotonic_seconds();
        const auto pieces = t->encode_pieces("ab " + text + " cd", {});
        QVERIFY2(monotonic_seconds() - start < 5, (name + unit).c_str());  // half a minute where the library joins unknown characters itself
        QCOMPARE(pieces.back().end, static_cast<uint32_t>(text.size() + 6));
      }
    }
  }

  void aLongUnknownRunIsOneTokenWithItsOffsets() {
    const auto t = tokenizer_from_sentencepiece(bytes_of("sp_unigram.model"), "m.model");
    for (const int n : {50, 500, 5000}) {
      std::string run;
      for (int i = 0; i < n; ++i) run += "\u0e01";  // Thai: not in the training text
      const auto pieces = t->encode_pieces("the " + run + " bird", {});
      int found = 0;
      for (const auto& p : pieces)
        if (p.id == t->unk.value()) {
          ++found;
          QCOMPARE(p.begin, 4u);
          QCOMPARE(p.end, static_cast<uint32_t>(4 + run.size()));
        }
      QCOMPARE(found, 1);
      QCOMPARE(pieces.back().end, static_cast<uint32_t>(run.size() + 9));
    }
  }

  void everyTruncationIsRefusedOrHarmless() {
    const std::string whole = bytes_of("sp_bpe.model");
    QVERIFY(survives(whole));
    int refused = 0;
    for (size_t n = 0; n < whole.size(); ++n) refused += !survives(whole.substr(0, n));
    QVERIFY(refused > static_cast<int>(whole.size()) / 2);  // only cuts between whole fields can pass
  }
  void flippedBitsAreRefusedOrHarmless() {
    for (const char* name : {"sp_bpe.model", "sp_unigram.model"}) {
      const std::string whole = bytes_of(name);
      const size_t step = std::max<size_t>(1, whole.size() / 1200);
      for (size_t n = 0; n < whole.size(); n += step) {
        std::string flipped = whole;
        flipped[n] = static_cast<char>(flipped[n] ^ (1 << n % 8));
        survives(flipped);
      }
    }
  }

  void hostileModelsAreRefused_data() {
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<QString>("part");
    const auto row = [](const char* name, const std::string& bytes, const char* part) {
      QTest::newRow(name) << QByteArray(bytes.data(), static_cast<qsizetype>(bytes.size())) << part;
    };
    std::string trie(1024, '\0');
    const std::string size = std::string("\0\x04\0\0", 4);
    row("empty", "", "no SentencePiece model");
    row("text", "hello, this is no model", "byte");
    row("giant length", std::string("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10), "claims");
    row("same piece twice", tiny(piece("a", 0, 1)), "stands twice");
    row("empty piece", tiny(piece("", 0, 1)), "empty");
    row("NUL in a piece", tiny(piece(std::string("a\0b", 3), 0, 1)), "UTF-8");
    row("bad UTF-8", tiny(piece("\xff", 0, 1)), "UTF-8");
    row("NaN score", tiny(piece("b", std::nanf(""), 1)), "score");
    row("unknown type", tiny(piece("b", 0, 9)), "type 9");
    row("two unknown pieces", tiny(piece("b", 0, 2)), "exactly one");
    row("bad byte piece", tiny(piece("<0xGG>", 0, 6)), "<0xAB>");
    row("model type", tiny(field(2, number(3, 77))), "model type 77");
    row("map too short", tiny(field(3, field(2, std::string("\xff\xff\xff\x7f", 4)))), "trie");
    trie[1] = 4;  // unit 0: offset 1 << 10 >> 10 ..., label 0
    trie[3] = 0x40;
    row("trie leads outside", tiny(field(3, field(2, size + trie + std::string(1, '\0')))), "leads outside");
    row("map without texts", tiny(field(3, field(2, size + std::string(1024, '\0')))), "NUL");
  }
  void hostileModelsAreRefused() {
    QFETCH(QByteArray, bytes);
    QFETCH(QString, part);
    VERIFY_THROWS(tokenizer_from_sentencepiece(std::string_view(bytes.data(), static_cast<size_t>(bytes.size())), "some/tokenizer.model"), InputError, part.toStdString());
  }
};

LORIKEET_TEST_MAIN(SentencePieceModelTest)
#include "sentencepiece_model_test.moc"
