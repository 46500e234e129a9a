#include "core/data/encode.h"
#include "tests/core/data/tiny_tokenizer.h"
#include "tests/support/support.h"

using namespace lorikeet;
using lorikeet::test::TinyTokenizer;

namespace {

Sample text(const std::string& prompt, const std::string& completion) {
  Sample s;
  s.kind = SampleKind::completion;
  s.prompt = prompt;
  s.completion = completion;
  return s;
}

struct Audited {
  Dataset data;
  std::vector<EncodeOutcome> encoded;
  std::vector<AuditFinding> findings;
  const AuditFinding* of(const std::string& kind) const {
    for (const auto& f : findings)
      if (f.kind == kind) return &f;
    return nullptr;
  }
};

Audited look(std::vector<Sample> samples, const TinyTokenizer& tokenizer = TinyTokenizer(), int64_t max_length = 100) {
  Audited a;
  a.data.samples = std::move(samples);
  EncodeSettings settings;
  settings.max_length = max_length;
  for (size_t i = 0; i < a.data.samples.size(); ++i) a.encoded.push_back(encode_sample(a.data.samples[i], i, tokenizer, nullptr, settings));
  a.findings = audit(a.data, a.encoded, tokenizer);
  return a;
}

}  // namespace

class AuditTest : public QObject {
  Q_OBJECT
 private slots:
  void aSoundSetHasNoFindings() { QVERIFY(look({text("P", "one"), text("P", "two")}).findings.empty()); }
  void namesTheSamples() {
    const auto a = look({text("P", "good"), text("P", " "), text("Q ", "x"), text("P", "good"), text("P", "a<|im_end|>b")});
    QCOMPARE(a.of("empty_answer")->samples, std::vector<size_t>{1});
    QCOMPARE(a.of("prompt_ends_in_blank")->samples, std::vector<size_t>{2});
    QCOMPARE(a.of("duplicate")->samples, std::vector<size_t>{3});
    QCOMPARE(a.of("control_token")->samples, std::vector<size_t>{4});
    QVERIFY(a.of("truncated") == nullptr);
    for (const auto& f : a.findings) QVERIFY2(f.text.starts_with(std::to_string(f.count) + " "), f.text.c_str());
  }
  void countsWhatIsCut() {
    const auto a = look({text("P", "123456789"), text("P", "1234"), text(std::string(30, 'P'), "x")}, TinyTokenizer(), 8);
    QCOMPARE(a.of("truncated")->count, 1);
    QVERIFY2(a.of("truncated")->text.find("17.6 %") != std::string::npos, a.of("truncated")->text.c_str());  // 3 of 11 + 6 tokens
    QCOMPARE(a.of("dropped")->count, 1);
    QCOMPARE(a.of("dropped")->severity, std::string("warning"));
    QVERIFY2(a.of("dropped")->text.find("1 no trainable token") != std::string::npos, a.of("dropped")->text.c_str());
    QVERIFY(a.of("missing_end") == nullptr);  // cut samples have none, and rightly so
  }
  void aSetWithoutAnyTargetIsAnError() {
    const auto a = look({text(std::string(30, 'P'), "x")}, TinyTokenizer(), 8);
    QCOMPARE(a.of("dropped")->severity, std::string("error"));
  }
  void findsAMissingEnd() {
    TinyTokenizer tokenizer;
    tokenizer.eos.reset();
    QCOMPARE(look({text("P", "x")}, tokenizer).of("missing_end")->count, 1);
  }
  void findsADoubledBegin() {
    const auto a = look({text("<s>P", "x")}, TinyTokenizer({}, true));
    QCOMPARE(a.of("doubled_bos")->severity, std::string("error"));
  }
  void tellsOfBadRows() {
    Dataset data;
    data.bad_row_count = 12;
    const auto findings = audit(data, {}, TinyTokenizer());
    QCOMPARE(findings.size(), size_t{1});
    QCOMPARE(findings[0].text, std::string("12 rows cannot be read and are left out"));
  }
  void namesAtMostTwentySamples() {
    const auto a = look(std::vector<Sample>(50, text("P", "same")));
    QCOMPARE(a.of("duplicate")->count, 49);
    QCOMPARE(a.of("duplicate")->samples.size(), size_t{20});
  }
};

LORIKEET_TEST_MAIN(AuditTest)
#include "audit_test.moc"
