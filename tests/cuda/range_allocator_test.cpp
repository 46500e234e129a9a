// Cutting device memory: no two pieces overlap, freed neighbours become one hole again.
#include "cuda/runtime/range_allocator.h"

#include <map>
#include <random>

#include "tests/support/support.h"

using namespace lorikeet;
using cuda::RangeAllocator;

class RangeAllocatorTest : public QObject {
  Q_OBJECT
 private slots:
  void takesTheSmallestHoleThatFits() {
    RangeAllocator r(10 * 256);
    const auto a = r.take(2 * 256), b = r.take(256), c = r.take(256), d = r.take(256);
    QVERIFY(a && b && c && d);
    r.give(*a);
    r.give(*c);
    QCOMPARE(*r.take(200), *c);   // the hole of one unit, not that of two
    QCOMPARE(*r.take(300), *a);
    QVERIFY(!r.take(6 * 256));    // five are left at the end
    QCOMPARE(*r.take(5 * 256), *d + 256);
    QVERIFY(!r.take(1));
    QVERIFY(!r.take(size_t{1} << 62));
  }

  void neighboursBecomeOneHole() {
    RangeAllocator r(4 * 256);
    const size_t a = *r.take(256), b = *r.take(256), c = *r.take(256), d = *r.take(256);
    r.give(b);
    r.give(d);
    r.give(a);
    r.give(c);
    QVERIFY(r.empty());
    QCOMPARE(r.largest_hole(), size_t{4 * 256});
  }

  void manyPiecesNeverOverlap() {
    RangeAllocator r(1 << 20);
    std::mt19937 random(7);
    std::map<size_t, size_t> held;
    for (int i = 0; i < 20000; ++i) {
      if (held.empty() || random() % 3 != 0) {
        const size_t bytes = random() % 5000;
        const auto at = r.take(bytes);
        if (!at) continue;
        QCOMPARE(*at % RangeAllocator::kAlign, size_t{0});
        const auto next = held.lower_bound(*at);
        QVERIFY(next == held.end() || *at + RangeAllocator::rounded(bytes) <= next->first);
        QVERIFY(next == held.begin() || std::prev(next)->first + std::prev(next)->second <= *at);
        held.emplace(*at, RangeAllocator::rounded(bytes));
      } else {
        const auto it = std::next(held.begin(), static_cast<long>(random() % held.size()));
        r.give(it->first);
        held.erase(it);
      }
    }
    for (const auto& [at, bytes] : held) r.give(at);
    QVERIFY(r.empty());
    QCOMPARE(r.largest_hole(), r.bytes());
  }
};

LORIKEET_TEST_MAIN(RangeAllocatorTest)
#include "range_allocator_test.moc"
