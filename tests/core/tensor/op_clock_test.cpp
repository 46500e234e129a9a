#include "core/tensor/op_clock.h"

#include <chrono>
#include <thread>

#include "core/ops/cpu_kernels.h"
#include "core/ops/elementwise.h"
#include "core/ops/rms_norm.h"
#include "tests/support/support.h"

using namespace lorikeet;

namespace {
void sleep_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

void inner() {
  const OpClock::Timed timed("inner");
  sleep_ms(20);
}
void outer() {
  const OpClock::Timed timed("outer");
  sleep_ms(5);
  inner();
}
}  // namespace

class OpClockTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_cpu_kernels(); }

  void countsOpsByNameThroughTheirSlots() {
    Context cx(2);
    const Tensor x = test::random_tensor({3, 8}, 1), w = test::random_tensor({8}, 2);
    Tensor y = Tensor::empty({3, 8});
    OpClock clock;
    {
      const OpClock::Installed installed(clock);
      add(cx, x, x, y);
      rms_norm(cx, {x, w, y, nullptr, 1e-5});
      add(cx, x, y, y);
    }
    add(cx, x, x, y);  // no longer seen
    QCOMPARE(clock.entries().size(), size_t{2});
    QCOMPARE(QString(clock.entries()[0].op), QString("add"));
    QCOMPARE(clock.entries()[0].calls, int64_t{2});
    QCOMPARE(QString(clock.entries()[1].op), QString("rms_norm"));
    QVERIFY(clock.seconds() > 0);
    clock.reset();
    QVERIFY(clock.entries().empty());
  }
  void anOpsTimeIsItsOwn() {
    OpClock clock;
    const OpClock::Installed installed(clock);
    outer();
    QCOMPARE(QString(clock.entries()[0].op), QString("inner"));
    QVERIFY(clock.entries()[0].seconds >= 0.019);
    QCOMPARE(QString(clock.entries()[1].op), QString("outer"));
    QVERIFY(clock.entries()[1].seconds >= 0.004);
    QVERIFY(clock.entries()[1].seconds < clock.entries()[0].seconds);
  }
  void aRefusedCallLeavesTheClockWhole() {
    OpClock clock;
    const OpClock::Installed installed(clock);
    try {
      const OpClock::Timed timed("broken");
      throw std::runtime_error("no");
    } catch (const std::runtime_error&) {
    }
    outer();
    QCOMPARE(clock.entries().size(), size_t{3});
    QCOMPARE(clock.entries()[0].calls, int64_t{1});
  }
  void belongsToOneThread() {
    OpClock mine;
    const OpClock::Installed installed(mine);
    std::thread other([] { inner(); });
    other.join();
    QVERIFY(mine.entries().empty());
    OpClock nested;
    {
      const OpClock::Installed second(nested);
      inner();
    }
    inner();
    QCOMPARE(nested.entries()[0].calls, int64_t{1});
    QCOMPARE(mine.entries()[0].calls, int64_t{1});
  }
};

LORIKEET_TEST_MAIN(OpClockTest)
#include "op_clock_test.moc"
