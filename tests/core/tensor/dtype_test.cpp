#include "core/tensor/dtype.h"

#include <bit>
#include <cmath>
#include <limits>

#include "core/base/random.h"
#include "tests/support/support.h"

using namespace lorikeet;

namespace {

// Value of a 16-bit float by its definition.
double value_of(uint16_t bits, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits >> mantissa_bits) & ((1 << exponent_bits) - 1), mantissa = bits & ((1 << mantissa_bits) - 1);
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) return mantissa ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp((1 << mantissa_bits) + mantissa, exponent - bias - mantissa_bits);
}

// Nearest 16-bit pattern by search over the two neighbours, ties to the even one; |v| below the overflow limit.
uint16_t nearest(float v, int exponent_bits, int mantissa_bits) {
  const uint16_t sign = std::signbit(v) ? 0x8000 : 0;
  uint16_t low = 0, high = static_cast<uint16_t>(((1 << exponent_bits) - 1) << mantissa_bits);
  const double magnitude = std::abs(static_cast<double>(v));
  while (high - low > 1) {
    const auto middle = static_cast<uint16_t>((low + high) / 2);
    (value_of(middle, exponent_bits, mantissa_bits) <= magnitude ? low : high) = middle;
  }
  const double below = magnitude - value_of(low, exponent_bits, mantissa_bits);
  // Beyond the largest finite number the next step counts as if the exponent went on.
  const double next = high == ((1 << exponent_bits) - 1) << mantissa_bits
                          ? 2 * value_of(low, exponent_bits, mantissa_bits) - value_of(static_cast<uint16_t>(low - 1), exponent_bits, mantissa_bits)
                          : value_of(high, exponent_bits, mantissa_bits);
  const double above = next - magnitude;
  const bool up = above < below || (above == below && (high & 1) == 0);
  return sign | (up ? high : low);
}

}  // namespace

class DTypeTest : public QObject {
  Q_OBJECT
 private slots:
  void everyBf16PatternHasItsValueAndComesBack() {
    for (uint32_t i = 0; i < 65536; ++i) {
      const auto bits = static_cast<uint16_t>(i);
      const float v = f32_from_bf16(bits);
      const double wanted = value_of(bits, 8, 7);
      if (std::isnan(wanted)) {
        QVERIFY(std::isnan(v) && std::isnan(f32_from_bf16(bf16_from_f32(v))));
        continue;
      }
      QVERIFY2(static_cast<double>(v) == wanted && std::signbit(v) == (i >= 0x8000), std::to_string(i).c_str());
      QCOMPARE(bf16_from_f32(v), bits);
    }
  }
  void everyF16PatternHasItsValueAndComesBack() {
    for (uint32_t i = 0; i < 65536; ++i) {
      const auto bits = static_cast<uint16_t>(i);
      const float v = f32_from_f16(bits);
      const double wanted = value_of(bits, 5, 10);
      if (std::isnan(wanted)) {
        QVERIFY(std::isnan(v) && std::isnan(f32_from_f16(f16_from_f32(v))));
        continue;
      }
      QVERIFY2(static_cast<double>(v) == wanted && std::signbit(v) == (i >= 0x8000), std::to_string(i).c_str());
      QCOMPARE(f16_from_f32(v), bits);
    }
  }
  void roundsToNearestEven() {
    RandomStream random(7, 1);
    for (int i = 0; i < 200000; ++i) {
      const auto bits = random.next_u32();
      const auto v = std::bit_cast<float>(bits);
      if (!std::isfinite(v)) continue;
      QCOMPARE(bf16_from_f32(v), nearest(v, 8, 7));
      const float small = std::ldexp(static_cast<float>(random.uniform(-1, 1)), static_cast<int>(random.below(44)) - 28);
      QCOMPARE(f16_from_f32(small), nearest(small, 5, 10));
    }
  }
  void tiesAndLimits() {
    for (uint32_t i = 0; i < 0x7bff; ++i) {  // halfway between each f16 and the next: to the even one
      const double middle = (value_of(static_cast<uint16_t>(i), 5, 10) + value_of(static_cast<uint16_t>(i + 1), 5, 10)) / 2;
      QCOMPARE(f16_from_f32(static_cast<float>(middle)), static_cast<uint16_t>(i % 2 == 0 ? i : i + 1));
    }
    QCOMPARE(f16_from_f32(65519.99f), uint16_t{0x7bff});
    QCOMPARE(f16_from_f32(65520.0f), uint16_t{0x7c00});
    QCOMPARE(f16_from_f32(-1e30f), uint16_t{0xfc00});
    QCOMPARE(bf16_from_f32(std::numeric_limits<float>::max()), uint16_t{0x7f80});
    QCOMPARE(bf16_from_f32(-std::numeric_limits<float>::infinity()), uint16_t{0xff80});
  }
  void nanStaysNanWithItsSign() {
    for (uint32_t bits : {0x7f800001u, 0x7fc00000u, 0x7fffffffu, 0xff800001u, 0xffffffffu}) {
      const auto v = std::bit_cast<float>(bits);
      QVERIFY(std::isnan(f32_from_bf16(bf16_from_f32(v))));
      QVERIFY(std::isnan(f32_from_f16(f16_from_f32(v))));
      QCOMPARE(bf16_from_f32(v) >> 15, static_cast<int>(bits >> 31));
      QCOMPARE(f16_from_f32(v) >> 15, static_cast<int>(bits >> 31));
    }
  }
  void namesRoundTrip() {
    for (DType t : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i64, DType::i32, DType::i8, DType::u8})
      QVERIFY(dtype_from_name(dtype_name(t)) == t);
    QVERIFY(!dtype_from_name("F32"));
    QVERIFY(!dtype_from_name(""));
  }
};

LORIKEET_TEST_MAIN(DTypeTest)
#include "dtype_test.moc"
