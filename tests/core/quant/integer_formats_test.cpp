// int8, int4, int3, int2: error oracles, rounding, storage.
#include "core/quant/integer_formats.h"

#include "tests/core/quant/quant_support.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

class IntegerFormatsTest : public QObject {
  Q_OBJECT
  Context cx_{2};

  static QuantOptions block_of(int block) {
    QuantOptions o;
    o.block_size = block;
    return o;
  }

 private slots:
  void errorMatchesTheOracle_data() {
    QTest::addColumn<QString>("format");
    QTest::addColumn<int>("block");
    QTest::addColumn<double>("oracle");
    QTest::newRow("int2 64") << "int2" << 64 << 0.718;
    QTest::newRow("int2 128") << "int2" << 128 << 0.767;
    QTest::newRow("int3 64") << "int3" << 64 << 0.251;
    QTest::newRow("int3 128") << "int3" << 128 << 0.274;
    QTest::newRow("int4 64") << "int4" << 64 << 0.1076;
    QTest::newRow("int4 128") << "int4" << 128 << 0.1172;
    QTest::newRow("int8 64") << "int8" << 64 << 0.00593;
    QTest::newRow("int8 128") << "int8" << 128 << 0.00646;
  }
  void errorMatchesTheOracle() {
    QFETCH(QString, format);
    QFETCH(int, block);
    QFETCH(double, oracle);
    static const std::vector<float> w = normal_values(1 << 20, 1);
    const double error = relative_error(cx_, *encoded(cx_, format.toStdString(), w, 1024, block_of(block)), w.data());
    QVERIFY2(std::fabs(error - oracle) < 0.01 * oracle, qPrintable(QString::number(error)));
  }

  void valuesAreScaleTimesTheNearestInteger_data() {
    QTest::addColumn<int>("bits");
    for (int bits : {2, 3, 4, 8}) QTest::addRow("int%d", bits) << bits;
  }
  void valuesAreScaleTimesTheNearestInteger() {
    QFETCH(int, bits);
    const auto w = normal_values(50 * 77, 2);
    const auto back = decoded(*encoded(cx_, "int" + std::to_string(bits), w, 50, block_of(32)));
    const float largest = static_cast<float>((1 << (bits - 1)) - 1);
    for (size_t begin = 0; begin < w.size(); begin += 32) {
      const size_t end = std::min(w.size(), begin + 32);
      float absmax = 0;
      for (size_t i = begin; i < end; ++i) absmax = std::max(absmax, std::fabs(w[i]));
      const float scale = absmax / largest;
      for (size_t i = begin; i < end; ++i)
        QCOMPARE(back[i], std::nearbyint(std::clamp(w[i] / scale, -largest, largest)) * scale);
    }
  }

  void codingADecodedWeightChangesNothing_data() { valuesAreScaleTimesTheNearestInteger_data(); }
  void codingADecodedWeightChangesNothing() {
    QFETCH(int, bits);
    auto w = normal_values(64 * 64, 3);
    for (float& v : w) v = std::nearbyint(v * 8) * 0.125f;  // scales with few bits, so that no rounding moves them
    const std::string format = "int" + std::to_string(bits);
    const auto first = decoded(*encoded(cx_, format, w, 64));
    const auto second = decoded(*encoded(cx_, format, first, 64));
    for (size_t i = 0; i < first.size(); ++i) QVERIFY(std::fabs(first[i] - second[i]) <= 2e-7f * std::fabs(first[i]));
  }

  void zeroBlocksStayZeroAndTinyOnesDoNotBlowUp_data() { valuesAreScaleTimesTheNearestInteger_data(); }
  void zeroBlocksStayZeroAndTinyOnesDoNotBlowUp() {
    QFETCH(int, bits);
    const std::string format = "int" + std::to_string(bits);
    for (float v : decoded(*encoded(cx_, format, std::vector<float>(200, 0.0f), 2))) QCOMPARE(v, 0.0f);
    for (float v : decoded(*encoded(cx_, format, std::vector<float>(64, 1e-45f), 1))) QVERIFY(std::isfinite(v));
  }

  void storageIsCounted() {
    QCOMPARE(int8_format()->bits_per_weight(576, 576, block_of(64)), 8.5);
    QCOMPARE(int4_format()->bits_per_weight(576, 576, block_of(64)), 4.5);
    QCOMPARE(int3_format()->bits_per_weight(576, 576, block_of(64)), 3.5);
    QCOMPARE(int2_format()->bits_per_weight(576, 576, block_of(128)), 2.25);
    for (const char* format : {"int8", "int4", "int3", "int2"}) {
      const auto weight = encoded(cx_, format, normal_values(7 * 45, 4), 7, block_of(32));
      QCOMPARE(weight->bytes(), weight_formats().get(format)->bytes(7, 45, block_of(32)));
    }
  }

  void nonFiniteWeightsAreNamed() {
    auto w = normal_values(10 * 10, 5);
    w[57] = std::nanf("");
    VERIFY_THROWS(encoded(cx_, "int4", w, 10), RunError, "row 5, column 7");
  }
};

LORIKEET_TEST_MAIN(IntegerFormatsTest)
#include "integer_formats_test.moc"
