#include "core/base/random.h"

#include <algorithm>
#include <cmath>

#include "tests/support/support.h"

using namespace lorikeet;

class RandomTest : public QObject {
  Q_OBJECT
 private slots:
  // Known answers published with the generator (Random123, kat_vectors).
  void matchesPublishedPhiloxVectors() {
    QVERIFY((philox4x32(0, 0, 0) == std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    QVERIFY((philox4x32(~0ull, ~0ull, ~0ull) == std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
    QVERIFY((philox4x32(0x299f31d0a4093822ull, 0x0370734413198a2eull, 0x85a308d3243f6a88ull) ==
             std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
  }
  void streamsContinueWhereTheyAreTold() {
    RandomStream whole(42, 7);
    for (int i = 0; i < 8; ++i) whole.next_u32();
    RandomStream later(42, 7, 2);
    for (int i = 0; i < 20; ++i) QCOMPARE(later.next_u32(), whole.next_u32());
  }
  void uniformAndNormalHaveTheirMoments() {
    RandomStream random(1, 2);
    constexpr int kDraws = 200000;
    double sum = 0, squares = 0, uniform = 0;
    for (int i = 0; i < kDraws; ++i) {
      const double z = random.normal();
      sum += z;
      squares += z * z;
      const double u = random.uniform();
      QVERIFY(u >= 0 && u < 1);
      uniform += u;
    }
    QVERIFY(std::abs(sum / kDraws) < 0.01);
    QVERIFY(std::abs(squares / kDraws - 1) < 0.02);
    QVERIFY(std::abs(uniform / kDraws - 0.5) < 0.005);
  }
  void permutationsHoldEveryIndexOnce() {
    auto p = permutation(1000, 5, 9);
    QVERIFY(p == permutation(1000, 5, 9));
    QVERIFY(p != permutation(1000, 6, 9));
    std::sort(p.begin(), p.end());
    for (uint32_t i = 0; i < 1000; ++i) QCOMPARE(p[i], i);
    QVERIFY(permutation(0, 1, 1).empty());
  }
};

LORIKEET_TEST_MAIN(RandomTest)
#include "random_test.moc"
