#include "core/base/json.h"

#include <limits>

#include "core/base/error.h"
#include "tests/support/support.h"

using namespace lorikeet;

class JsonTest : public QObject {
  Q_OBJECT
 private slots:
  void keepsOrderAndAllDigits() {
    const Json j = parse_json(R"({"z":0.1,"a":[1,-2,18446744073709551615],"m":{"x":null}})", "f");
    QCOMPARE(dump_json(j), std::string(R"({"z":0.1,"a":[1,-2,18446744073709551615],"m":{"x":null}})"));
    QCOMPARE(j["a"][2].get<uint64_t>(), std::numeric_limits<uint64_t>::max());
  }
  void nonFiniteNumbersBecomeNull() {
    QCOMPARE(dump_json(Json{{"x", std::numeric_limits<double>::quiet_NaN()}}), std::string(R"({"x":null})"));
  }
  void refuses_data() {
    QTest::addColumn<QByteArray>("text");
    QTest::addColumn<QByteArray>("part");
    QTest::newRow("syntax") << QByteArray("{\"a\":}") << QByteArray("not valid JSON");
    QTest::newRow("trailing") << QByteArray("{} x") << QByteArray("not valid JSON");
    QTest::newRow("empty") << QByteArray("") << QByteArray("not valid JSON");
    QTest::newRow("nan") << QByteArray("[NaN]") << QByteArray("not valid JSON");
    QTest::newRow("duplicate") << QByteArray("{\"a\":1,\"a\":2}") << QByteArray("twice");
    QTest::newRow("nested duplicate") << QByteArray("[{\"a\":{\"b\":1,\"b\":2}}]") << QByteArray("twice");
    QTest::newRow("deep array") << QByteArray(100000, '[') << QByteArray("deeper");
    QTest::newRow("utf-8") << QByteArray("{\"a\":\"\xff\"}") << QByteArray("UTF-8");
    QTest::newRow("huge number") << QByteArray("[1e999]") << QByteArray("valid JSON: the number 1e999 is out of range");
    QTest::newRow("endless number") << "[" + QByteArray(5000, '9') + "]" << QByteArray("... is out of range");
  }
  void refuses() {
    QFETCH(QByteArray, text);
    QFETCH(QByteArray, part);
    VERIFY_THROWS(parse_json(text.toStdString(), "some.json"), InputError, part.toStdString());
  }
  void namesTheLine() { VERIFY_THROWS(parse_json("{\n\"a\": 1,\n]", "some.json"), InputError, "some.json: line 3"); }
  void refusalsAreShortAndPrintable() {
    const std::string longest(5000, 'x');
    for (const InputError& e : {InputError(longest, longest, longest), InputError("a.json", "field y", longest + "\x1b[31m"), InputError("", "", longest)}) {
      QVERIFY2(std::string(e.what()).size() <= 300, e.what());
      QVERIFY(std::string(e.what()).size() >= 200);
    }
    QCOMPARE(std::string(InputError("f\n", "line 3", "bad\x1b").what()), std::string("f\\n: line 3: bad\\x1b"));
  }
  void everyTruncationIsRefused() {
    const std::string whole = R"({"a":[1,2.5,"x\u00e9"],"b":{"c":true,"d":null}})";
    for (size_t n = 0; n < whole.size(); ++n) VERIFY_THROWS(parse_json(whole.substr(0, n), "f"), InputError, "not valid JSON");
  }
};

LORIKEET_TEST_MAIN(JsonTest)
#include "json_test.moc"
