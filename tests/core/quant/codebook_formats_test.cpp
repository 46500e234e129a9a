// nf4, nf3, nf2, fp4: error oracles, storage, and the identities of quantisation.
#include "core/quant/codebook_formats.h"

#include <bit>

#include "core/quant/codebooks.h"
#include "core/quant/coded_weight.h"
#include "tests/core/quant/quant_support.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

QuantOptions options(int block, bool nested) {
  QuantOptions o;
  o.block_size = block;
  o.double_quant = nested;
  return o;
}
const CodedWeight& coded(const FrozenWeightPtr& w) { return dynamic_cast<const CodedWeight&>(*w); }
const QStringList kFormats = {"nf4", "nf3", "nf2", "fp4"};

void add_formats() {
  QTest::addColumn<QString>("format");
  for (const QString& f : kFormats) QTest::addRow("%s", qPrintable(f)) << f;
}

}  // namespace

class CodebookFormatsTest : public QObject {
  Q_OBJECT
  Context cx_{2};

 private slots:
  /// Relative error on 2^20 standard normal values; figures computed independently of this program.
  void errorMatchesTheOracle_data() {
    QTest::addColumn<QString>("format");
    QTest::addColumn<int>("block");
    QTest::addColumn<bool>("nested");
    QTest::addColumn<double>("oracle");
    QTest::newRow("nf4 exact") << "nf4" << 64 << false << 0.0920;
    QTest::newRow("nf4 double") << "nf4" << 64 << true << 0.0921;
    QTest::newRow("nf4 block 32") << "nf4" << 32 << false << 0.0873;
    QTest::newRow("nf3 exact") << "nf3" << 64 << false << 0.2015;
    QTest::newRow("nf3 double") << "nf3" << 64 << true << 0.2015;
    QTest::newRow("nf3 block 32") << "nf3" << 32 << false << 0.190;
    QTest::newRow("nf2 exact") << "nf2" << 64 << false << 0.5625;
    QTest::newRow("nf2 double") << "nf2" << 64 << true << 0.5626;
    QTest::newRow("nf2 block 32") << "nf2" << 32 << false << 0.518;
  }
  void errorMatchesTheOracle() {
    QFETCH(QString, format);
    QFETCH(int, block);
    QFETCH(bool, nested);
    QFETCH(double, oracle);
    static const std::vector<float> w = normal_values(1 << 20, 1);
    const double error = relative_error(cx_, *encoded(cx_, format.toStdString(), w, 1024, options(block, nested)), w.data());
    QVERIFY2(std::fabs(error - oracle) < 0.01 * oracle, qPrintable(QString::number(error)));
  }

  void doubleQuantisationCostsUnderATenthOfAPercent() {
    const std::vector<float> w = normal_values(1 << 20, 2);
    const double exact = relative_error(cx_, *encoded(cx_, "nf4", w, 1024, options(64, false)), w.data());
    const double twice = relative_error(cx_, *encoded(cx_, "nf4", w, 1024, options(64, true)), w.data());
    QVERIFY2(twice > exact && twice < exact * 1.001, qPrintable(QString("%1 %2").arg(exact).arg(twice)));
  }

  void storageIsCounted_data() {
    QTest::addColumn<int>("rows");
    QTest::addColumn<int>("columns");
    QTest::newRow("576x576") << 576 << 576;
    QTest::newRow("192x576, ragged group") << 192 << 576;
    QTest::newRow("1536x576") << 1536 << 576;
    QTest::newRow("4096x4096") << 4096 << 4096;
  }
  void storageIsCounted() {
    QFETCH(int, rows);
    QFETCH(int, columns);
    const double nested = nf4_format()->bits_per_weight(rows, columns, options(64, true));
    QVERIFY2(std::fabs(nested - 4.127) < 0.001, qPrintable(QString::number(nested, 'g', 8)));
    QCOMPARE(nf4_format()->bits_per_weight(rows, columns, options(64, false)), 4.5);
    QVERIFY(std::fabs(nf3_format()->bits_per_weight(rows, columns, options(64, true)) - 3.127) < 0.001);
    QVERIFY(std::fabs(nf2_format()->bits_per_weight(rows, columns, options(64, true)) - 2.127) < 0.001);
  }

  void bytesHeldAreTheBytesPromised_data() { add_formats(); }
  void bytesHeldAreTheBytesPromised() {
    QFETCH(QString, format);
    for (const auto& [rows, columns] : {std::pair<int, int>{192, 576}, {7, 45}, {1, 1}, {33, 31}})
      for (bool nested : {true, false}) {
        const auto w = normal_values(rows * columns, 3);
        const QuantOptions o = options(64, nested);
        const auto weight = encoded(cx_, format.toStdString(), w, rows, o);
        QCOMPARE(weight->bytes(), weight_formats().get(format.toStdString())->bytes(rows, columns, o));
        QCOMPARE(weight->format(), std::string_view(format.toStdString()));
      }
  }

  void everyEntryTimesAnyScaleComesBack_data() { add_formats(); }
  void everyEntryTimesAnyScaleComesBack() {
    QFETCH(QString, format);
    const Codebook& book = *find_codebook(format.toStdString());
    for (float scale : {1.0f, 0.037f, 123.456f, 3e-12f, 2.5e20f}) {
      std::vector<float> w(64);
      for (size_t i = 0; i < w.size(); ++i) w[i] = book.values[i % (size_t{1} << book.bits)] * scale;
      const auto back = decoded(*encoded(cx_, format.toStdString(), w, 1, options(64, false)));
      for (size_t i = 0; i < w.size(); ++i) QCOMPARE(back[i], w[i]);
    }
  }

  void codingADecodedWeightGivesTheSameCodes_data() { add_formats(); }
  void codingADecodedWeightGivesTheSameCodes() {
    QFETCH(QString, format);
    const auto w = normal_values(129 * 127, 4);
    const auto first = encoded(cx_, format.toStdString(), w, 129, options(64, false));
    const auto second = encoded(cx_, format.toStdString(), decoded(*first), 129, options(64, false));
    QVERIFY(same_bits(decoded(*first), decoded(*second)));
    if (format != "fp4")  // both zeros of fp4 decode to the same value, so their codes may change place
      QCOMPARE(bytes_of(coded(second).codes()), bytes_of(coded(first).codes()));
  }

  void zeroBlocksStayZero_data() { add_formats(); }
  void zeroBlocksStayZero() {
    QFETCH(QString, format);
    for (bool nested : {true, false}) {
      auto w = normal_values(64 * 64, 5);
      std::fill(w.begin() + 640, w.begin() + 1280, 0.0f);
      const auto back = decoded(*encoded(cx_, format.toStdString(), w, 64, options(64, nested)));
      for (size_t i = 640; i < 1280; ++i) QCOMPARE(std::bit_cast<uint32_t>(back[i]), 0u);
      const auto nothing = decoded(*encoded(cx_, format.toStdString(), std::vector<float>(99, 0.0f), 3, options(64, nested)));
      for (float v : nothing) QCOMPARE(v, 0.0f);
    }
  }

  void scalingByAPowerOfTwoChangesOnlyTheScales_data() { add_formats(); }
  void scalingByAPowerOfTwoChangesOnlyTheScales() {
    QFETCH(QString, format);
    const auto w = normal_values(64 * 64, 6);
    auto scaled = w;
    for (float& v : scaled) v *= 0x1p-9f;
    const auto a = encoded(cx_, format.toStdString(), w, 64, options(64, false));
    const auto b = encoded(cx_, format.toStdString(), scaled, 64, options(64, false));
    QCOMPARE(bytes_of(coded(b).codes()), bytes_of(coded(a).codes()));
    for (int64_t i = 0; i < 64; ++i)
      QCOMPARE(coded(b).scales().absmax().data<float>()[i], coded(a).scales().absmax().data<float>()[i] * 0x1p-9f);
  }

  void everyCodeIsTheNearest_data() { add_formats(); }
  void everyCodeIsTheNearest() {
    QFETCH(QString, format);
    const auto w = normal_values(64 * 200, 7);
    const auto weight = encoded(cx_, format.toStdString(), w, 200, options(64, false));
    const Codebook& book = *find_codebook(format.toStdString());
    const auto back = decoded(*weight);
    for (size_t i = 0; i < w.size(); ++i) {
      const double scale = static_cast<double>(coded(weight).scales().absmax().data<float>()[i / 64]);
      double nearest = 1e30;
      for (int c = 0; c < (1 << book.bits); ++c)
        nearest = std::min(nearest, std::fabs(static_cast<double>(book.values[static_cast<size_t>(c)]) * scale - static_cast<double>(w[i])));
      // One rounding of the quotient may decide at a threshold.
      QVERIFY(std::fabs(static_cast<double>(back[i]) - static_cast<double>(w[i])) <= nearest + scale * 4e-7);
    }
  }

  void aTieTakesTheLowerCode() {
    for (int t = 0; t < 15; ++t) {
      std::vector<float> w(64, 0.0f);
      w[0] = 1;
      w[1] = nf4_codebook().thresholds[static_cast<size_t>(t)];
      w[2] = std::nextafter(w[1], 2.0f);
      const auto back = decoded(*encoded(cx_, "nf4", w, 1, options(64, false)));
      QCOMPARE(back[1], nf4_codebook().values[static_cast<size_t>(t)]);
      QCOMPARE(back[2], nf4_codebook().values[static_cast<size_t>(t) + 1]);
    }
  }

  void nonFiniteWeightsAreNamed_data() { add_formats(); }
  void nonFiniteWeightsAreNamed() {
    QFETCH(QString, format);
    auto w = normal_values(300 * 400, 8);
    w[217 * 400 + 33] = std::nanf("");
    w[217 * 400 + 34] = HUGE_VALF;
    VERIFY_THROWS(encoded(cx_, format.toStdString(), w, 300), RunError, "row 217, column 33");
    w[0] = -HUGE_VALF;
    VERIFY_THROWS(encoded(cx_, format.toStdString(), w, 300), RunError, "row 0, column 0");
  }

  void blockSizesOutsideTheRangeAreRefused() {
    const auto w = normal_values(64, 9);
    for (int block : {0, -64, 16, 31, 33, 96, 8192}) VERIFY_THROWS(encoded(cx_, "nf4", w, 1, options(block, true)), ConfigError, "32 to 4096");
  }

  void threadsDoNotChangeTheResult() {
    const auto w = normal_values(1 << 18, 10);
    Context one(1), three(3);
    QVERIFY(same_bits(decoded(*encoded(one, "nf4", w, 512)), decoded(*encoded(three, "nf4", w, 512))));
  }

 private:
  static std::vector<uint8_t> bytes_of(const Tensor& t) {  // the bytes themselves: equality is what is asked
    const auto* p = static_cast<const uint8_t*>(t.raw());
    return {p, p + t.bytes()};
  }
};

LORIKEET_TEST_MAIN(CodebookFormatsTest)
#include "codebook_formats_test.moc"
