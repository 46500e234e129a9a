// Regular expressions, white space and the other Unicode classes, normalisation, lossy reading, merging.
#include <random>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/text/aligned_text.h"
#include "core/text/merge_list.h"
#include "core/text/pattern.h"
#include "core/text/unicode.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

std::string pieces(const Pattern& p, std::string_view text) {
  std::string out;
  split_by(p, text, [&](size_t begin, size_t end, bool match) { out += (match ? "[" : "(") + std::string(text.substr(begin, end - begin)) + (match ? "]" : ")"); });
  return out;
}
std::string pieces(const char* expression, std::string_view text) { return pieces(Pattern::regex(expression, "t", "here"), text); }

}  // namespace

class PatternTest : public QObject {
  Q_OBJECT
 private slots:
  void whiteSpaceIsTheTwentyFiveCharacters() {
    const Pattern p = Pattern::regex(R"(\s)", "t", "here"), not_p = Pattern::regex(R"(\S)", "t", "here"), in_class = Pattern::regex(R"([\s])", "t", "here");
    int count = 0;
    for (char32_t c = 1; c < 0x3100; ++c) {
      if (c >= 0xD800 && c < 0xE000) continue;
      std::string s;
      append_utf8(s, c);
      const bool match = pieces(p, s)[0] == '[';
      count += match;
      QCOMPARE(match, is_white_space(c));
      QCOMPARE(pieces(in_class, s)[0] == '[', match);
      QCOMPARE(pieces(not_p, s)[0] == '[', !match);
    }
    QCOMPARE(count, 25);
    QVERIFY(!is_white_space(0x180E));  // PCRE2's own \s has this one, Oniguruma's has not
  }
  void splitsMatchesAndGaps() {
    QCOMPARE(pieces("b+", "abbc"), std::string("(a)[bb](c)"));
    QCOMPARE(pieces("x*", "axb"), std::string("(a)[x](b)"));  // empty matches cut but have no width
    QCOMPARE(pieces(R"(\u00e9|\p{Lu})", "aéB"), std::string("(a)[é][B]"));
    QCOMPARE(pieces("^.|y$", "ab\ncy"), std::string("[a](b\n)[c][y]"));
    QCOMPARE(pieces(R"([[:digit:]\]]+)", "a1]2"), std::string("(a)[1]2]"));
    QCOMPARE(pieces(Pattern::literal("ab"), "xababy"), std::string("(x)[ab][ab](y)"));
    QCOMPARE(pieces(Pattern::literal(""), "xy"), std::string("(xy)"));
  }
  void refusesWhatItCannotMean() {
    VERIFY_THROWS(Pattern::regex("*a", "f.json", "field x"), InputError, "field x");
    VERIFY_THROWS(Pattern::regex("[a&&b]", "f.json", "field x"), InputError, "classes");
    VERIFY_THROWS(Pattern::regex(std::string(100000, 'a'), "f.json", "field x"), InputError, "at most");
    VERIFY_THROWS(pieces("(a|a)+$", std::string(60, 'a') + "!"), InputError, "too many steps");
  }
  void replacesIllFormedTextAsUnicodeRecommends() {
    // Unicode 15, table 3-8 and its neighbours: one U+FFFD for each maximal subpart.
    QCOMPARE(utf8_replaced("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), std::string("\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA"));
    QCOMPARE(utf8_replaced("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), std::string("\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA"));
    QCOMPARE(utf8_replaced("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"), std::string("\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA\uFFFD\uFFFDB"));
    QCOMPARE(utf8_replaced("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), std::string("\uFFFD\uFFFD\uFFFD\uFFFDA"));
    QCOMPARE(utf8_replaced("plain é"), std::string("plain é"));
  }
  void normalisesByStretch() {
    std::string out;
    size_t done = 0;
    normalize_by_stretch("e\u0301x\u212b\ufb01", NormalForm::nfc, [&](size_t begin, size_t end, std::string_view s) {
      QCOMPARE(begin, done);
      done = end;
      out += s;
    });
    QCOMPARE(out, std::string("\u00e9x\u00c5\ufb01"));
    QVERIFY(is_normalized("abc é", NormalForm::nfd) == false && is_normalized("abc", NormalForm::nfc));
  }
  void alignedTextKeepsItsSource() {
    const AlignedText a("abc", 10);
    AlignedBuilder b(a);
    b.replace(0, 0, "__");
    b.keep(0, 1);
    b.replace(1, 3, "XYZ");
    const AlignedText t = b.take();
    QCOMPARE(t.text(), std::string("__aXYZ"));
    QVERIFY(t.source(0, 2).begin == 10 && t.source(0, 2).end == 10);
    QVERIFY(t.source(2, 3).begin == 10 && t.source(2, 3).end == 11);
    QVERIFY(t.source(3, 4).begin == 11 && t.source(3, 6).end == 13);
    QVERIFY(t.slice(3, 6).source(0, 1).begin == 11);
  }
  void mergesAsTheNaiveLoopDoes() {
    // Ids are characters; the pair (a, b) makes a new id with a random rank, for short and for long pieces.
    std::mt19937 random(5);
    for (int round = 0; round < 300; ++round) {
      const int letters = 2 + round % 4, length = 1 + round % 90;
      std::map<std::pair<int, int>, std::pair<uint32_t, int>> merges;
      int next = letters;
      for (int k = 0; k < 12; ++k) merges.insert({{static_cast<int>(random() % static_cast<unsigned>(next)), static_cast<int>(random() % static_cast<unsigned>(next))}, {static_cast<uint32_t>(k), next}}), ++next;
      MergeList list;
      std::vector<int> naive;
      for (int i = 0; i < length; ++i) {
        naive.push_back(static_cast<int>(random() % static_cast<unsigned>(letters)));
        list.push(naive.back(), static_cast<uint32_t>(i), static_cast<uint32_t>(i) + 1);
      }
      list.run([&](const MergeSymbol& a, const MergeSymbol& b) {
        const auto it = merges.find({a.id, b.id});
        return it == merges.end() ? kNoMerge : static_cast<uint64_t>(it->second.first) << 32 | static_cast<uint32_t>(it->second.second);
      });
      for (;;) {
        size_t best = naive.size();
        uint32_t rank = UINT32_MAX;
        for (size_t i = 0; i + 1 < naive.size(); ++i)
          if (const auto it = merges.find({naive[i], naive[i + 1]}); it != merges.end() && it->second.first < rank) best = i, rank = it->second.first;
        if (best == naive.size()) break;
        naive[best] = merges.at({naive[best], naive[best + 1]}).second;
        naive.erase(naive.begin() + static_cast<ptrdiff_t>(best) + 1);
      }
      std::vector<int> found;
      uint32_t end = 0;
      list.each([&](const MergeSymbol& s) {
        found.push_back(s.id);
        QCOMPARE(s.begin, end);
        end = s.end;
      });
      QCOMPARE(found, naive);
    }
  }
};

LORIKEET_TEST_MAIN(PatternTest)
#include "pattern_test.moc"
