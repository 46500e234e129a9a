// f32, f16, bf16 as weight formats.
#include "core/quant/plain_formats.h"

#include <bit>

#include "tests/core/quant/quant_support.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

class PlainFormatsTest : public QObject {
  Q_OBJECT
  Context cx_{2};

 private slots:
  void f32IsItself() {
    const auto w = normal_values(70 * 33, 1);
    const auto weight = encoded(cx_, "f32", w, 70);
    QVERIFY(same_bits(decoded(*weight), w));
    QVERIFY(weight->plain_f32() && std::equal(w.begin(), w.end(), weight->plain_f32()));
    QCOMPARE(weight->bytes(), uint64_t{4 * 70 * 33});
  }

  void bf16RoundsToNearestEven() {
    const auto w = normal_values(70 * 33, 2);
    const auto weight = encoded(cx_, "bf16", w, 70);
    const auto back = decoded(*weight);
    for (size_t i = 0; i < w.size(); ++i) {
      const auto u = std::bit_cast<uint32_t>(w[i]);
      QCOMPARE(std::bit_cast<uint32_t>(back[i]), (u + 0x7fff + ((u >> 16) & 1)) & 0xffff0000u);
    }
    QVERIFY(!weight->plain_f32());
    QCOMPARE(weight->bytes(), uint64_t{2 * 70 * 33});
    QCOMPARE(bf16_format()->bits_per_weight(70, 33, {}), 16.0);
  }

  void f16RoundsToNearestEven() {
    const auto w = normal_values(70 * 33, 3);
    const auto back = decoded(*encoded(cx_, "f16", w, 70));
    for (size_t i = 0; i < w.size(); ++i) {
      int exponent;
      std::frexp(w[i], &exponent);  // normal halves have 11 significant bits; the nearest multiple of that unit
      const double unit = std::ldexp(1.0, std::max(exponent - 11, -24));
      QCOMPARE(static_cast<double>(back[i]), std::nearbyint(static_cast<double>(w[i]) / unit) * unit);
    }
  }

  void everyFiniteHalfSurvives() {
    for (const char* format : {"f16", "bf16"}) {
      const bool half = std::string(format) == "f16";
      std::vector<float> w;
      for (uint32_t b = 0; b < 65536; ++b) {
        const float v = half ? f32_from_f16(static_cast<uint16_t>(b)) : f32_from_bf16(static_cast<uint16_t>(b));
        if (std::isfinite(v)) w.push_back(v);
      }
      QVERIFY(same_bits(decoded(*encoded(cx_, format, w, 1)), w));
    }
  }

  void valuesThatDoNotFitAreNamed() {
    auto w = normal_values(20 * 30, 4);
    w[7 * 30 + 12] = 70000;
    VERIFY_THROWS(encoded(cx_, "f16", w, 20), RunError, "row 7, column 12");
    QCOMPARE(decoded(*encoded(cx_, "bf16", w, 20))[7 * 30 + 12], 70144.0f);
    w[3] = HUGE_VALF;
    for (const char* format : {"f32", "f16", "bf16"}) VERIFY_THROWS(encoded(cx_, format, w, 20), RunError, "row 0, column 3");
  }
};

LORIKEET_TEST_MAIN(PlainFormatsTest)
#include "plain_formats_test.moc"
