// Code tables against published bits, an independent construction, and the thresholds of the reference kernels.
#include "core/quant/codebooks.h"

#include <bit>
#include <cmath>
#include <set>

#include "tests/support/support.h"

using namespace lorikeet;

namespace {

/// Inverse of the normal distribution by bisection on erfc: slow, and made from nothing the code under test uses.
double normal_quantile(double p) {
  double low = -10, high = 10;
  for (int i = 0; i < 200; ++i) {
    const double mid = (low + high) / 2;
    (0.5 * std::erfc(-mid / std::sqrt(2.0)) < p ? low : high) = mid;
  }
  return (low + high) / 2;
}

/// NormalFloat construction: 2^(k-1) probabilities from 1-o to 0.5, 2^(k-1)+1 from 0.5 to o, merged and normalised.
std::vector<double> normal_float(int bits) {
  const double o = 1 - 0.5 * (1.0 / 30 + 1.0 / 32), largest = normal_quantile(o);
  const int half = 1 << (bits - 1);
  std::vector<double> v;
  for (int i = 0; i < half; ++i) v.push_back(normal_quantile((1 - o) + (0.5 - (1 - o)) * i / (half - 1)) / largest);
  for (int i = 1; i <= half; ++i) v.push_back(normal_quantile(0.5 + (o - 0.5) * i / half) / largest);
  return v;
}

}  // namespace

class CodebooksTest : public QObject {
  Q_OBJECT
 private slots:
  void nf4HasThePublishedBits() {
    const std::array<uint32_t, 16> bits = {0xbf800000, 0xbf3239b1, 0xbf066b30, 0xbeca32a0, 0xbe91a24d, 0xbe3d353f,
                                           0xbdba7871, 0x00000000, 0x3da2faff, 0x3e24cae3, 0x3e7c04dd, 0x3ead033a,
                                           0x3ee1a4b8, 0x3f1007ab, 0x3f3913b3, 0x3f800000};
    for (size_t i = 0; i < 16; ++i) QCOMPARE(std::bit_cast<uint32_t>(nf4_codebook().values[i]), bits[i]);
  }

  void nf4HasThePublishedThresholds() {
    const std::array<double, 15> t = {-0.8480964004993439,  -0.6106329262256622,  -0.4599952697753906, -0.33967943489551544,
                                      -0.23460740596055984, -0.13791173323988914, -0.045525018125772476, 0.03979014977812767,
                                      0.1202552504837513,   0.2035212516784668,   0.2920137718319893,  0.3893125355243683,
                                      0.5016634166240692,   0.6427869200706482,   0.8614784181118011};
    for (size_t i = 0; i < t.size(); ++i) QCOMPARE(nf4_codebook().thresholds[i], static_cast<float>(t[i]));
  }

  void normalFloatsFollowTheConstruction_data() {
    QTest::addColumn<int>("bits");
    for (int bits : {2, 3, 4}) QTest::addRow("nf%d", bits) << bits;
  }
  void normalFloatsFollowTheConstruction() {
    QFETCH(int, bits);
    const Codebook& book = bits == 2 ? nf2_codebook() : bits == 3 ? nf3_codebook() : nf4_codebook();
    const std::vector<double> wanted = normal_float(bits);
    QCOMPARE(wanted.size(), size_t{1} << bits);
    for (size_t i = 0; i < wanted.size(); ++i)
      QVERIFY2(std::fabs(static_cast<double>(book.values[i]) - wanted[i]) < 1e-6, qPrintable(QString::number(i)));
  }

  void nf3AndNf2HaveTheStatedThresholds() {
    const std::array<double, 7> t3 = {-0.7393146, -0.3478855, -0.1085709, 0.0804651, 0.2494227, 0.4502661, 0.7813085};
    const std::array<double, 3> t2 = {-0.5, 0.1689576, 0.6689576};
    for (size_t i = 0; i < t3.size(); ++i)
      QVERIFY(std::fabs(static_cast<double>(nf3_codebook().thresholds[i]) - t3[i]) < 1e-6);
    for (size_t i = 0; i < t2.size(); ++i)
      QVERIFY(std::fabs(static_cast<double>(nf2_codebook().thresholds[i]) - t2[i]) < 1e-6);
  }

  void fp4HasTheStatedMagnitudesAndThresholds() {
    const std::array<uint32_t, 8> bits = {0, 0x3baaaaab, 0x3f2aaaab, 0x3f800000, 0x3eaaaaab, 0x3f000000, 0x3e2aaaab, 0x3e800000};
    for (size_t i = 0; i < 8; ++i) {
      QCOMPARE(std::bit_cast<uint32_t>(fp4_codebook().values[i]), bits[i]);
      QCOMPARE(fp4_codebook().values[i + 8], -fp4_codebook().values[i]);
    }
    const std::array<double, 7> t = {0.00260417, 0.0859375, 0.20833333, 0.29166667, 0.4166667, 0.583333, 0.8333333};
    for (size_t i = 0; i < 7; ++i) {
      QVERIFY(std::fabs(static_cast<double>(fp4_codebook().thresholds[8 + i]) - t[i]) < 1e-6);
      QVERIFY(std::fabs(static_cast<double>(fp4_codebook().thresholds[6 - i]) + t[i]) < 1e-6);
    }
  }

  void integerTablesAreSymmetric() {
    for (int bits : {2, 3, 4}) {
      const int largest = (1 << (bits - 1)) - 1;
      for (int c = 0; c <= 2 * largest; ++c)
        QCOMPARE(integer_codebook(bits).values[static_cast<size_t>(c)], static_cast<float>(c - largest));
    }
  }

  void dynamicMapHasTheStatedEntries() {
    const auto& map = dynamic_map();
    QVERIFY(std::is_sorted(map.begin(), map.end()));
    QCOMPARE(std::set<float>(map.begin(), map.end()).size(), size_t{256});
    QCOMPARE(map[127], 0.0f);
    QCOMPARE(map[255], 1.0f);
    const auto near = [](float v, double wanted) { return std::fabs(static_cast<double>(v) - wanted) < 1e-7; };
    QVERIFY(near(map[0], -0.992968738) && near(map[1], -0.97890627) && near(map[2], -0.96484375));
    QVERIFY(std::fabs(static_cast<double>(map[128]) - 5.5e-7) < 1e-13 && std::fabs(static_cast<double>(map[126]) + 5.5e-7) < 1e-13);
    // The rule itself, in f64: every point is there to one part in 10^6.
    for (int e = 0; e < 7; ++e)
      for (int i = 0; i < (1 << e); ++i) {
        const double width = 0.9 / (1 << e), point = (0.1 + width * (i + 0.5)) * std::pow(10.0, e - 6);
        const auto it = std::lower_bound(map.begin(), map.end(), static_cast<float>(point * (1 - 1e-6)));
        QVERIFY(it != map.end() && std::fabs(static_cast<double>(*it) - point) <= 1e-6 * point);
      }
  }

  void equalCodebooksShareTheirTables() {
    QCOMPARE(shared_tables(nf4_codebook()).get(), shared_tables(nf4_codebook()).get());
    QVERIFY(shared_tables(nf4_codebook())->values == nf4_codebook().values);
    QVERIFY(shared_tables(nf4_codebook())->shared);
  }
};

LORIKEET_TEST_MAIN(CodebooksTest)
#include "codebooks_test.moc"
