#include "core/base/text.h"

#include <cmath>
#include <limits>

#include "tests/support/support.h"

using namespace lorikeet;

class TextTest : public QObject {
  Q_OBJECT
 private slots:
  void findsIllFormedUtf8_data() {
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<int>("bad");  // -1: well-formed
    QTest::newRow("ascii") << QByteArray("plain") << -1;
    QTest::newRow("four bytes") << QByteArray("a\xF0\x9F\x98\x80") << -1;
    QTest::newRow("overlong") << QByteArray("ab\xC0\xAF") << 2;
    QTest::newRow("surrogate") << QByteArray("\xED\xA0\x80") << 0;
    QTest::newRow("above the last code point") << QByteArray("\xF4\x90\x80\x80") << 0;
    QTest::newRow("cut") << QByteArray("x\xE2\x82") << 1;
    QTest::newRow("lone continuation") << QByteArray("\x80") << 0;
  }
  void findsIllFormedUtf8() {
    QFETCH(QByteArray, bytes);
    QFETCH(int, bad);
    const auto at = first_invalid_utf8(bytes.toStdString());
    QCOMPARE(at ? static_cast<int>(*at) : -1, bad);
  }
  void codePointsRoundTrip() {
    for (char32_t c : {U'a', U'\u00e9', U'\u20ac', U'\U0001F600', U'\U0010FFFF'}) {
      std::string s;
      append_utf8(s, c);
      size_t pos = 0;
      QVERIFY(next_code_point(s, pos) == c);
      QCOMPARE(pos, s.size());
    }
  }
  void numbersDoNotDependOnTheLocale() {
    QCOMPARE(parse_double("0.5").value(), 0.5);
    QVERIFY(!parse_double("0,5"));
    QVERIFY(!parse_double("1x"));
    QVERIFY(!parse_int("99999999999999999999"));
    QCOMPARE(parse_int("-12").value(), -12);
    for (double v : {0.1, 1e-300, 123456789.123456789, 2e-4, std::numeric_limits<double>::min()})
      QCOMPARE(parse_double(shortest(v)).value(), v);
  }
  void controlCharactersAreShown() {
    QCOMPARE(printable("a\x1b[31m\n\xff"), std::string("a\\x1b[31m\\n\\xff"));
    QCOMPARE(printable("\xC2\x9B" "x"), std::string("\\xc2x"));
    QVERIFY(printable(std::string(1000, 'x'), 10).size() <= 13);
  }
  void namesTheNearest() {
    const std::vector<std::string> known = {"adapter.rank", "adapter.alpha", "optimizer.learning_rate"};
    QCOMPARE(nearest_name("adapter.rnak", known), std::string("adapter.rank"));
    QCOMPARE(nearest_name("learning_rate", known), std::string());
    QCOMPARE(nearest_name("optimizer.lerning_rate", known), std::string("optimizer.learning_rate"));
  }
  void showsQuantitiesForPeople() {
    QCOMPARE(human_bytes(430'000'000), std::string("430 MB"));
    QCOMPARE(human_bytes(1'740'000'000), std::string("1.7 GB"));
    QCOMPARE(human_bytes(12), std::string("12 B"));
    QCOMPARE(human_bytes(999'700), std::string("1.0 MB"));
    QCOMPARE(human_seconds(160), std::string("2 min 40 s"));
    QCOMPARE(human_seconds(std::nan("")), std::string("unknown"));
  }
  void splitsAndJoins() {
    QCOMPARE(join(split("a,,b", ','), "|"), std::string("a||b"));
    QCOMPARE(std::string(trim("  x\r\n")), std::string("x"));
  }
};

LORIKEET_TEST_MAIN(TextTest)
#include "text_test.moc"
