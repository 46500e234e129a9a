// Plain and doubly quantised scales: sums, bounds, sizes.
#include "core/quant/block_scales.h"

#include "tests/core/quant/quant_support.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

Tensor scales_like(int64_t n, uint64_t seed) {
  Tensor t = Tensor::empty({n});
  const std::vector<float> v = normal_values(n, seed);
  for (int64_t i = 0; i < n; ++i) t.data<float>()[i] = 0.05f + 0.01f * std::fabs(v[static_cast<size_t>(i)]);
  return t;
}

}  // namespace

class BlockScalesTest : public QObject {
  Q_OBJECT
 private slots:
  void sumIsExactWhereNoRoundingHappens_data() {
    QTest::addColumn<int>("n");
    for (int n : {0, 1, 3, 7, 8, 9, 31, 32, 33, 100, 1000, 4097, 70000}) QTest::addRow("%d", n) << n;
  }
  void sumIsExactWhereNoRoundingHappens() {
    QFETCH(int, n);
    std::vector<float> x(static_cast<size_t>(n));
    double wanted = 0;
    for (size_t i = 0; i < x.size(); ++i) wanted += static_cast<double>(x[i] = static_cast<float>(splitmix64(3, i) % 64));
    QCOMPARE(static_cast<double>(sum_in_torch_order(x.data(), n)), wanted);
  }

  void plainScalesAreGivenBackUntouched() {
    const Tensor t = scales_like(300, 1);
    const BlockScales s = BlockScales::plain(t);
    float buffer[64];
    CodeTables tables;
    QCOMPARE(s.decode(17, 64, tables, buffer), t.data<float>() + 17);
    QCOMPARE(s.bytes(), uint64_t{1200});
    QVERIFY(!s.nested());
  }

  void doubleQuantisationStaysWithinItsBound_data() {
    QTest::addColumn<int>("n");
    for (int n : {1, 2, 255, 256, 257, 1728, 5184}) QTest::addRow("%d", n) << n;
  }
  void doubleQuantisationStaysWithinItsBound() {
    QFETCH(int, n);
    const Tensor t = scales_like(n, 2);
    const BlockScales s = BlockScales::doubly_quantised(t);
    auto tables = shared_tables(nf4_codebook());
    std::vector<float> back(static_cast<size_t>(n));
    s.decode(0, n, *tables, back.data());
    // The widest gap of the map is 1/64 of the group maximum (1.0 to 0.986...), so half of it, plus the grid's half step.
    for (int i = 0; i < n; ++i) {
      const double bound = static_cast<double>(s.group_maxima().data<float>()[i / 256]) * (0.5 / 64 + 2e-5) + 1e-8;
      QVERIFY(std::fabs(static_cast<double>(back[static_cast<size_t>(i)] - t.data<float>()[i])) <= bound);
    }
    QCOMPARE(s.bytes(), BlockScales::bytes_for(n, true));
    QCOMPARE(s.bytes(), static_cast<uint64_t>(n) + 4 * static_cast<uint64_t>((n + 255) / 256) + 4);
  }

  void offsetIsTheMean() {
    const Tensor t = scales_like(5184, 5);
    double mean = 0;
    for (int64_t i = 0; i < t.size(); ++i) mean += static_cast<double>(t.data<float>()[i]) / 5184;
    QVERIFY(std::fabs(static_cast<double>(BlockScales::doubly_quantised(t).offset()) - mean) < 1e-8);
  }

  void equalScalesComeBackExactly() {
    Tensor t = Tensor::empty({700});
    t.fill(0.375);
    const BlockScales s = BlockScales::doubly_quantised(t);
    std::vector<float> back(700);
    s.decode(0, 700, *shared_tables(nf4_codebook()), back.data());
    for (float v : back) QCOMPARE(v, 0.375f);
  }
};

LORIKEET_TEST_MAIN(BlockScalesTest)
#include "block_scales_test.moc"
