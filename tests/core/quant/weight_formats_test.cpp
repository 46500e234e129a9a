// The list of formats and the error measure.
#include "tests/core/quant/quant_support.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

class WeightFormatsTest : public QObject {
  Q_OBJECT
  Context cx_{2};

 private slots:
  void everyFormatStandsUnderItsOwnName() {
    QCOMPARE(weight_formats().names().size(), size_t{11});
    for (const auto& [name, format] : weight_formats().entries()) {
      QCOMPARE(format->name(), std::string_view(name));
      QCOMPARE(encoded(cx_, name, normal_values(64 * 3, 1), 3)->format(), std::string_view(name));
    }
  }

  void anUnknownFormatPrintsTheKnownOnes() { VERIFY_THROWS(weight_formats().get("nf5"), UnsupportedError, "nf4, nf3, nf2, fp4"); }

  void moreBitsMeanLessError() {
    const auto w = normal_values(256 * 256, 2);
    const auto error = [&](const char* format) { return relative_error(cx_, *encoded(cx_, format, w, 256), w.data()); };
    QCOMPARE(error("f32"), 0.0);
    QVERIFY(error("f16") < error("bf16") && error("bf16") < error("int8") && error("int8") < error("nf4"));
    QVERIFY(error("nf4") < error("fp4") && error("nf4") < error("int4") && error("int4") < error("nf3") && error("nf3") < error("int3"));
  }

  void errorIsTheStatedQuotient() {
    const std::vector<float> w = {3, 4}, other = {3, 2};
    QCOMPARE(relative_error(cx_, *encoded(cx_, "f32", other, 1), w.data()), 2.0 / 5.0);
    const std::vector<float> zero(2, 0.0f);
    QCOMPARE(relative_error(cx_, *encoded(cx_, "f32", zero, 1), zero.data()), 0.0);
  }

  void errorDoesNotDependOnThreads() {
    const auto w = normal_values(300 * 333, 3);
    Context one(1), three(3);
    const auto weight = encoded(cx_, "nf4", w, 300);
    QCOMPARE(relative_error(one, *weight, w.data()), relative_error(three, *weight, w.data()));
  }
};

LORIKEET_TEST_MAIN(WeightFormatsTest)
#include "weight_formats_test.moc"
