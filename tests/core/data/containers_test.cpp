#include "core/data/containers.h"

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/system.h"
#include "tests/support/support.h"

using namespace lorikeet;

namespace {

constexpr uint64_t kLimit = 1000;

struct Rows {
  std::vector<RawRow> all;
  RowSink sink() {
    return [this](RawRow&& r) {
      all.push_back(std::move(r));
      return true;
    };
  }
};

std::vector<RawRow> read(const std::string& path, uint64_t limit = kLimit) {
  Rows rows;
  read_container(path, container_of(path, limit), limit, rows.sink());
  return std::move(rows.all);
}

std::string text(const RawRow& r) { return r.problem.empty() ? dump_json(r.value) : "problem: " + r.problem; }

std::string lines(const std::vector<RawRow>& rows) {
  std::string out;
  for (const auto& r : rows) out += std::to_string(r.origin.line) + " " + text(r) + "\n";
  return out;
}

}  // namespace

class ContainersTest : public QObject {
  Q_OBJECT
  test::ScratchFolder folder_;

 private slots:
  void readsRows_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<QByteArray>("content");
    QTest::addColumn<QByteArray>("rows");
    const auto row = [](const char* what, const char* name, QByteArray content, const char* rows) {
      QTest::newRow(what) << name << content << QByteArray(rows);
    };
    row("lines", "a.jsonl", "{\"a\":1}\n{\"a\":2}\n", "1 {\"a\":1}\n2 {\"a\":2}\n");
    row("lines, no end", "a.jsonl", "{\"a\":1}\n{\"a\":2}", "1 {\"a\":1}\n2 {\"a\":2}\n");
    row("BOM, CRLF, blank lines", "a.jsonl", "\xEF\xBB\xBF{\"a\":1}\r\n\r\n  \r\n{\"a\":2}\r\n", "1 {\"a\":1}\n4 {\"a\":2}\n");
    row("lines called .json", "a.json", "{\"a\":1}\n{\"a\":2}\n", "1 {\"a\":1}\n2 {\"a\":2}\n");
    row("lines called .txt", "a.txt", "{\"a\":1}\n{\"a\":2}\n", "1 {\"a\":1}\n2 {\"a\":2}\n");
    row("array", "a.json", "[{\"a\":1},\n {\"a\":[2,\"],}\"]}]\n", "1 {\"a\":1}\n2 {\"a\":[2,\"],}\"]}\n");
    row("array with BOM", "a.json", "\xEF\xBB\xBF [ {\"a\":1} , {} ] ", "1 {\"a\":1}\n2 {}\n");
    row("array on one line", "a.jsonl", "[{\"a\":\"\\\"\"},{\"b\":{\"c\":[]}}]", "1 {\"a\":\"\\\"\"}\n2 {\"b\":{\"c\":[]}}\n");
    row("empty array", "a.json", "[ ]", "");
    row("one object over lines", "a.json", "{\n \"a\": 1\n}\n", "1 {\"a\":1}\n");
    row("csv", "a.csv", "x,y\n1,2\n\n3,\n", "2 {\"x\":\"1\",\"y\":\"2\"}\n4 {\"x\":\"3\",\"y\":\"\"}\n");
    row("csv with quotes", "a.csv", "x,y\n\"a,b\",\"c\"\"d\"\"\"\n", "2 {\"x\":\"a,b\",\"y\":\"c\\\"d\\\"\"}\n");
    row("csv with line ends in quotes", "a.csv", "x,y\n\"a\nb\r\nc\",2\n3,4\n", "2 {\"x\":\"a\\nb\\r\\nc\",\"y\":\"2\"}\n5 {\"x\":\"3\",\"y\":\"4\"}\n");
    row("csv with semicolons", "a.csv", "x;y,z;u\n1;2,3;0\n4;5;6\n", "2 {\"x\":\"1\",\"y,z\":\"2,3\",\"u\":\"0\"}\n3 {\"x\":\"4\",\"y,z\":\"5\",\"u\":\"6\"}\n");
    row("csv header with blanks and CR", "a.csv", "\xEF\xBB\xBF x , output\r \r\n1,2\r\n", "2 {\"x\":\"1\",\"output\":\"2\"}\n");
    row("tsv", "a.tsv", "x\ty\na, b\tc\n", "2 {\"x\":\"a, b\",\"y\":\"c\"}\n");
    row("csv with one column", "a.csv", "text\nhello\n", "2 {\"text\":\"hello\"}\n");
    row("text", "a.txt", "One.\r\n\r\nTwo [x] {y}.\n", "1 {\"text\":\"One.\\n\\nTwo [x] {y}.\\n\"}\n");
    row("text with a bracket first", "a.txt", "[1] A note.\n", "1 {\"text\":\"[1] A note.\\n\"}\n");
    row("text without ending", "notes", "plain\n", "1 {\"text\":\"plain\\n\"}\n");
  }
  void readsRows() {
    QFETCH(QString, name);
    QFETCH(QByteArray, content);
    QFETCH(QByteArray, rows);
    QCOMPARE(lines(read(folder_.write(name.toStdString(), content.toStdString()))), rows.toStdString());
  }
  void listsProblems_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<QByteArray>("content");
    QTest::addColumn<int>("line");
    QTest::addColumn<QString>("part");
    const auto row = [](const char* what, const char* name, QByteArray content, int line, const char* part) {
      QTest::newRow(what) << name << content << line << part;
    };
    row("syntax", "a.jsonl", "{\"a\":1}\n{\"a\":}\n{\"a\":3}\n", 2, "not valid JSON");
    row("cut last line", "a.jsonl", "{\"a\":1}\n{\"a\":3}\n{\"a\"", 3, "not valid JSON");
    row("first line bad", "a.jsonl", "{\"a\n{\"a\":1}\n{\"a\":3}\n", 1, "not valid JSON");
    row("first line no JSON", "a.jsonl", "hello\n{\"a\":1}\n{\"a\":3}\n", 1, "not valid JSON");
    row("not an object", "a.jsonl", "{\"a\":1}\n[1]\n{\"a\":3}\n", 2, "must be a JSON object, found a list");
    row("two on a line", "a.jsonl", "{\"a\":1}\n{\"a\":2}{\"a\":3}\n{\"a\":3}\n", 2, "several JSON values on one line");
    row("Latin-1", "a.jsonl", "{\"a\":1}\n{\"a\":\"caf\xE9\"}\n{\"a\":3}\n", 2, "Latin-1");
    row("NUL", "a.jsonl", QByteArray("{\"a\":1}\n{\"a\":3}\n{\"a\":\"", 22) + QByteArray(1, '\x01') + "\"}\n", 3, "not valid JSON");
    row("deep", "a.jsonl", "{\"a\":1}\n{\"a\":3}\n{\"a\":" + QByteArray(400, '[') + "\n", 3, "deeper");
    row("duplicate key", "a.jsonl", "{\"a\":1}\n{\"a\":3,\"a\":4}\n{\"a\":1}\n", 2, "twice");
    row("long line", "a.jsonl", "{\"a\":1}\n{\"a\":\"" + QByteArray(2000, 'x') + "\"}\n{\"a\":1}\n", 2, "longer than the limit");
    row("bad element", "a.json", "[{\"a\":1},\n{\"a\":tru},\n{\"a\":3}]", 2, "at line 2: ");
    row("number as element", "a.json", "[{\"a\":1}, 17, {\"a\":3}]", 2, "found a number");
    row("long element", "a.json", "[{\"a\":1},{\"a\":\"" + QByteArray(2000, 'x') + "\"},{\"a\":3}]", 2, "longer than the limit");
    row("csv too few", "a.csv", "x,y\n1\n2,3\n4,5\n", 2, "has 1 fields, the header names 2");
    row("csv too many", "a.csv", "x,y\n2,3\n1,2,3\n4,5\n", 3, "has 3 fields");
    row("csv open quote", "a.csv", "x,y\n2,3\n4,5\n1,\"2\n3,4\n", 4, "never closed");
    row("csv Latin-1", "a.csv", "x,y\n2,3\n1,\xE9\n4,5\n", 3, "Latin-1");
    row("csv long row", "a.csv", "x,y\n2,3\n1," + QByteArray(2000, 'x') + "\n4,5\n", 3, "longer than the limit");
  }
  void listsProblems() {
    QFETCH(QString, name);
    QFETCH(QByteArray, content);
    QFETCH(int, line);
    QFETCH(QString, part);
    const auto rows = read(folder_.write(name.toStdString(), content.toStdString()));
    QCOMPARE(rows.size(), size_t{3});
    for (const auto& r : rows) {
      if (r.origin.line == line) QVERIFY2(r.problem.find(part.toStdString()) != std::string::npos, text(r).c_str());
      else QVERIFY2(r.problem.empty(), text(r).c_str());
    }
  }
  void refuses_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<QByteArray>("content");
    QTest::addColumn<QString>("part");
    const auto row = [](const char* what, const char* name, QByteArray content, const char* part) { QTest::newRow(what) << name << content << part; };
    row("empty", "a.jsonl", "", "is empty");
    row("blank", "a.jsonl", " \n\n", "nothing but blanks");
    row("UTF-16 with mark", "a.jsonl", QByteArray("\xFF\xFE{\0", 4), "UTF-16");
    row("UTF-16 without", "a.csv", QByteArray("a\0,\0b\0\n\0", 8), "UTF-16");
    row("binary", "a.txt", QByteArray("ab\0cd", 5), "NUL");
    row("gzip", "a.jsonl", "\x1f\x8b\x08", "gzip");
    row("parquet", "a.parquet", "PAR1....", "Parquet");
    row("spreadsheet", "a.csv", "PK\x03\x04....", "CSV");
    row("model", "a.json", "GGUF....", "model");
    row("Latin-1 text", "a.txt", "caf\xE9", "Latin-1");
    row("concatenated", "a.json", "{\n\"a\":1\n}\n{\n\"a\":2\n}\n", "one after another");
    row("concatenated lines", "a.jsonl", "{\n\"a\":1\n}\n{\n\"a\":2\n}\n", "lines 1 to 3");
    row("two arrays", "a.json", "[{\"a\":1}]\n[{\"a\":2}]", "line 2: the list has ended");
    row("array cut", "a.json", "[{\"a\":1},\n{\"a\":", "element 2 of the list does not end");
    row("array cut after element", "a.json", "[{\"a\":1}", "found the end of the file");
    row("array cut after comma", "a.json", "[{\"a\":1},", "element 2 of the list is expected");
    row("array with gap", "a.json", "[{\"a\":1} {\"a\":2}]", "expected after element 1");
    row("array closed wrongly", "a.json", "[{\"a\":1}}", "expected after element 1");
    row("trailing comma", "a.json", "[{\"a\":1},]", "element 2");
    row("word", "a.json", "hello", "list or object is expected");
    row("csv double name", "a.csv", "x,x\n1,2\n", "two columns");
    row("csv header quote", "a.csv", "x,\"y\n1,2\n", "never closed");
    row("text too long", "a.txt", QByteArray(2000, 'x'), "several files");
  }
  void refuses() {
    QFETCH(QString, name);
    QFETCH(QByteArray, content);
    QFETCH(QString, part);
    VERIFY_THROWS(read(folder_.write(name.toStdString(), content.toStdString())), InputError, part.toStdString());
  }
  void refusesMissingFilesAndFolders() {
    VERIFY_THROWS(read(folder_.path("none.jsonl")), InputError, "cannot be opened");
    VERIFY_THROWS(read(folder_.path()), InputError, "folder");
  }
  void aStringOfBracketsIsCheap() {
    // A value that never ends is followed without recursion and without keeping more than the limit.
    const auto path = folder_.write("deep.json", "[" + std::string(3 << 20, '['));
    VERIFY_THROWS(read(path), InputError, "element 1 of the list does not end");
  }
  void everyCutOfAnArrayIsRefusedOrShorter() {
    const std::string whole = "[{\"a\":\"x\"},{\"b\":[1,{\"c\":2}]}]";
    for (size_t n = 1; n < whole.size(); ++n) {
      const auto path = folder_.write("cut.json", whole.substr(0, n));
      VERIFY_THROWS(read(path), InputError, "cut.json");
    }
  }
  void aHugeRowCostsNoMoreThanTheLimit_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<QByteArray>("before");
    QTest::addColumn<QByteArray>("after");
    QTest::newRow("line") << "huge.jsonl" << QByteArray("{\"a\":1}\n{\"a\":\"") << QByteArray("\"}\n{\"a\":2}\n");
    QTest::newRow("element") << "huge.json" << QByteArray("[{\"a\":1},{\"a\":\"") << QByteArray("\"},{\"a\":2}]");
    QTest::newRow("csv") << "huge.csv" << QByteArray("a\n1\n") << QByteArray("\n2\n");
  }
  void aHugeRowCostsNoMoreThanTheLimit() {
    QFETCH(QString, name);
    QFETCH(QByteArray, before);
    QFETCH(QByteArray, after);
    const std::string path = folder_.path(name.toStdString());
    AtomicFile out(path);
    out.write(before.toStdString());
    const std::string piece(1 << 20, 'x');
    for (int i = 0; i < 64; ++i) out.write(piece);
    out.write(after.toStdString());
    out.commit();
    const uint64_t peak = peak_resident_bytes();
    const auto rows = read(path, 1u << 20);
    QCOMPARE(rows.size(), size_t{3});
    QVERIFY2(rows[1].problem.find("longer than the limit of 1.0 MB") != std::string::npos, text(rows[1]).c_str());
    QVERIFY(peak_resident_bytes() - peak < (8u << 20));
  }
  void stopsWhenNoMoreIsWanted() {
    const auto path = folder_.write("three.jsonl", "{}\n{}\n{}\n");
    int taken = 0;
    read_container(path, Container::json_lines, kLimit, [&](RawRow&&) { return ++taken < 2; });
    QCOMPARE(taken, 2);
  }
};

LORIKEET_TEST_MAIN(ContainersTest)
#include "containers_test.moc"
