#include <map>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/data/dataset.h"
#include "tests/support/support.h"

using namespace lorikeet;

namespace {

const std::string kChat = R"({"messages":[{"role":"user","content":"U"},{"role":"assistant","content":"A"}]})";

std::string times(const std::string& line, int n) {
  std::string out;
  for (int i = 0; i < n; ++i) out += line + "\n";
  return out;
}

}  // namespace

class ReadDatasetTest : public QObject {
  Q_OBJECT
  test::ScratchFolder folder_;
  std::string file(const std::string& name, const std::string& content) const { return folder_.write(name, content); }

 private slots:
  void recognises_data() {
    QTest::addColumn<QByteArray>("row");
    QTest::addColumn<QString>("format");
    QTest::addColumn<QString>("key");
    const auto row = [](const char* text, const char* format, const char* key) { QTest::newRow(text) << QByteArray(text) << format << key; };
    row(R"({"messages":[{"role":"user","content":"U"}]})", "messages", "\"messages\" key");
    row(R"({"conversations":[{"from":"human","value":"U"}]})", "sharegpt", "\"conversations\" key");
    row(R"({"instruction":"I","input":"","output":"O"})", "alpaca", "\"instruction\" and \"output\" keys");
    row(R"({"instruction":"I","input":"","output":"O","text":"T"})", "alpaca", "\"instruction\" and \"output\" keys");
    row(R"({"prompt":"I","completion":"O"})", "prompt_completion", "\"prompt\" and \"completion\" keys");
    row(R"({"context":"I","target":"O"})", "prompt_completion", "\"context\" and \"target\" keys");
    row(R"({"question":"I","answer":"O"})", "question_answer", "\"question\" and \"answer\" keys");
    row(R"({"query":"I","response":"O"})", "question_answer", "\"query\" and \"response\" keys");
    row(R"({"text":"T"})", "text", "\"text\" key");
    row(R"({"input_ids":[1],"labels":[1]})", "tokens", "\"input_ids\" key");
  }
  void recognises() {
    QFETCH(QByteArray, row);
    QFETCH(QString, format);
    QFETCH(QString, key);
    const Dataset d = read_dataset({file("r.jsonl", times(row.toStdString(), 3))}, {});
    QCOMPARE(d.format, format.toStdString());
    QCOMPARE(d.evidence, "recognised by the " + key.toStdString() + " in all 3 rows");
    QCOMPARE(d.samples.size(), size_t{3});
    QCOMPARE(d.samples[2].origin.line, 3);
    QCOMPARE(d.bad_row_count, 0);
  }
  void listsBadRowsWithFileLineAndReason() {
    const auto path = file("bad.jsonl", kChat + "\n{\"messages\":[]}\n" + kChat + "\nnonsense\n{\"text\":\"x\"}\n" + kChat + "\n");
    const Dataset d = read_dataset({path}, {});
    QCOMPARE(d.samples.size(), size_t{3});
    QCOMPARE(d.bad_row_count, 3);
    QCOMPARE(d.evidence, std::string("recognised by the \"messages\" key in 4 of 6 rows"));
    QCOMPARE(d.bad_rows[0].origin.file, path);
    // A line that is no JSON is known at once, rows of another shape when the format is.
    std::map<int64_t, std::string> reasons;
    for (const auto& b : d.bad_rows) reasons[b.origin.line] = b.reason;
    QVERIFY(reasons[2].find("is empty") != std::string::npos);
    QVERIFY(reasons[4].find("not valid JSON") != std::string::npos);
    QVERIFY(reasons[5].find("has no \"messages\"") != std::string::npos);
  }
  void listsAThousandBadRowsAndCountsAll() {
    const Dataset d = read_dataset({file("many.jsonl", kChat + "\n" + times("{", 1500))}, {});
    QCOMPARE(d.bad_rows.size(), size_t{1000});
    QCOMPARE(d.bad_row_count, 1500);
  }
  void twoClaimsAreAnErrorThatNamesBoth() {
    const auto path = file("two.jsonl", times(R"({"messages":[{"role":"user","content":"U"}],"prompt":"P","completion":"C"})", 4));
    VERIFY_THROWS(read_dataset({path}, {}), InputError, "messages (\"messages\" key in 4 of 4 rows) and prompt_completion");
    QCOMPARE(read_dataset({path}, {.format = "prompt_completion"}).samples[0].prompt, std::string("P"));
  }
  void anUnknownShapeNamesItsKeys() {
    VERIFY_THROWS(read_dataset({file("odd.jsonl", times(R"({"speech":"x","reply":"y"})", 3))}, {}), InputError, "\"speech\", \"reply\"");
  }
  void preferencesAreRefusedByName() {
    const auto pairs = file("dpo.jsonl", times(R"({"prompt":"P","chosen":"a","rejected":"b"})", 3));
    VERIFY_THROWS(read_dataset({pairs}, {}), InputError, "preference pairs");
    const auto kto = file("kto.jsonl", times(R"({"prompt":"P","completion":"a","label":true})", 3));
    VERIFY_THROWS(read_dataset({kto}, {}), InputError, "good or bad");
  }
  void explicitFormatIsTakenAsSet() {
    const auto path = file("both.jsonl", times(R"({"instruction":"I","output":"O","text":"T"})", 2));
    const Dataset d = read_dataset({path}, {.format = "text"});
    QCOMPARE(d.evidence, std::string("as set by data.format"));
    QCOMPARE(d.samples[0].completion, std::string("T"));
    VERIFY_THROWS(read_dataset({path}, {.format = "tokens"}), InputError, "line 1: has no \"input_ids\"");
    VERIFY_THROWS(read_dataset({path}, {.format = "nonsense"}), UnsupportedError, "known: messages, sharegpt");
    VERIFY_THROWS(read_dataset({file("p.txt", "text")}, {.format = "alpaca"}), InputError, "plain text");
  }
  void noUsableRowNamesTheFirstReason() {
    VERIFY_THROWS(read_dataset({file("none.jsonl", "{\n[\n")}, {}), InputError, "line 1: ");
    VERIFY_THROWS(read_dataset({file("none.json", "[]")}, {}), InputError, "has no row");
    VERIFY_THROWS(read_dataset({}, {}), InputError, "no data file");
    VERIFY_THROWS(read_dataset({folder_.path("missing.jsonl")}, {}), InputError, "no such file");
  }
  void limitCountsRowsOverAllFiles() {
    const auto a = file("a.jsonl", times(kChat, 3)), b = file("b.jsonl", times(kChat, 3));
    QCOMPARE(read_dataset({a, b}, {.limit = 4}).samples.size(), size_t{4});
    QCOMPARE(read_dataset({a, b}, {.limit = 3}).samples.size(), size_t{3});
    QCOMPARE(read_dataset({a, b}, {}).samples.size(), size_t{6});
  }
  void filesOfDifferentShapesMix() {
    const auto a = file("a.jsonl", times(kChat, 2)), t = file("t.txt", "Some text.\n");
    const Dataset d = read_dataset({a, t}, {});
    QCOMPARE(d.format, std::string("messages, text"));
    QCOMPARE(d.samples[2].kind, SampleKind::text);
    QCOMPARE(d.samples[2].origin.file, t);
    QVERIFY(d.evidence.find("plain text") != std::string::npos);
  }
  void aFolderStandsForItsFilesByName() {
    folder_.write("set/b.jsonl", times(kChat, 1));
    folder_.write("set/a.csv", "instruction,output\nI,O\n");
    folder_.write("set/readme.md", "no data");
    folder_.write("set/.hidden.jsonl", "no data");
    const Dataset d = read_dataset({folder_.path("set")}, {});
    QCOMPARE(d.format, std::string("alpaca, messages"));
    QCOMPARE(d.samples.size(), size_t{2});
    folder_.write("empty/readme.md", "x");
    VERIFY_THROWS(read_dataset({folder_.path("empty")}, {}), InputError, "no data file");
  }
  void csvColumnsAreCleaned() {
    const Dataset d = read_dataset({file("c.csv", "\xEF\xBB\xBF\"instruction\"; output\r ;input\r\n\"a\n\"\"b\"\"\";O;\r\n")}, {});
    QCOMPARE(d.format, std::string("alpaca"));
    QCOMPARE(d.samples[0].messages[0]["content"].get<std::string>(), std::string("a\n\"b\""));
  }
  void systemPromptIsPutWhereThereIsNone() {
    const auto path = file("s.jsonl", kChat + "\n" + R"({"messages":[{"role":"system","content":"own"},{"role":"user","content":"U"}]})" + "\n");
    const Dataset d = read_dataset({path}, {.system_prompt = "given"});
    QCOMPARE(d.samples[0].messages[0]["content"].get<std::string>(), std::string("given"));
    QCOMPARE(d.samples[0].messages.size(), size_t{3});
    QCOMPARE(d.samples[1].messages[0]["content"].get<std::string>(), std::string("own"));
  }
  void placesSayLineOrElement() {
    const Dataset lines = read_dataset({file("l.jsonl", "\n" + kChat + "\n")}, {});
    QCOMPARE(place_of(lines.samples[0].origin), std::string("line 2"));
    const Dataset list = read_dataset({file("l.json", "[" + kChat + ",\n" + kChat + "]")}, {});
    QCOMPARE(place_of(list.samples[1].origin), std::string("element 2"));
  }
  void hashIsOfTheBytes() {
    const auto a = file("h.jsonl", times(kChat, 2));
    const Dataset one = read_dataset({a}, {});
    QCOMPARE(one.content_hash, sha256_of_file(a));
    const auto b = file("h2.jsonl", times(kChat, 3));
    QVERIFY(read_dataset({a, b}, {}).content_hash != read_dataset({b, a}, {}).content_hash);
  }
  void stopEndsTheReading() {
    std::stop_source source;
    source.request_stop();
    VERIFY_THROWS(read_dataset({file("stop.jsonl", times(kChat, 500))}, {}, source.get_token()), Interrupted, "stopped");
  }
  void aLineAboveTheLimitIsABadRow() {
    const Dataset d = read_dataset({file("long.jsonl", kChat + "\n{\"messages\":\"" + std::string(2000, 'x') + "\"}\n" + kChat + "\n")}, {.max_line_bytes = 1000});
    QCOMPARE(d.samples.size(), size_t{2});
    QCOMPARE(d.bad_rows.at(0).origin.line, 2);
    QVERIFY(d.bad_rows[0].reason.find("longer than the limit of 1.0 kB") != std::string::npos);
  }
};

LORIKEET_TEST_MAIN(ReadDatasetTest)
#include "read_dataset_test.moc"
