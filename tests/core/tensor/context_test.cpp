#include "core/tensor/context.h"

#include <cstring>

#include "core/base/error.h"
#include "core/tensor/host_arena.h"
#include "core/tensor/kernel_slot.h"
#include "tests/support/support.h"

using namespace lorikeet;

class ContextTest : public QObject {
  Q_OBJECT
 private slots:
  void scratchIsKeptGrownAndSeparate() {
    Context cx(3);
    QCOMPARE(cx.threads(), 3);
    void* a = cx.scratch(0, 0, 1000);
    void* b = cx.scratch(0, 1, 1000);
    void* c = cx.scratch(2, 0, 1000);
    void* shared = cx.shared_scratch(0, 1000);
    QVERIFY(a != b && a != c && a != shared && b != c && b != shared && c != shared);
    QCOMPARE(reinterpret_cast<uintptr_t>(a) % 64, uintptr_t{0});
    QCOMPARE(cx.scratch(0, 0, 400), a);  // smaller: the same memory
    QCOMPARE(cx.scratch(0, 0, 1000), a);
    std::memset(cx.scratch(0, 0, 100000), 1, 100000);
    QVERIFY(cx.scratch_bytes() >= 103000);
    const uint64_t live = arena_statistics().live_bytes;
    cx.release_scratch();
    QCOMPARE(cx.scratch_bytes(), size_t{0});
    QVERIFY(arena_statistics().live_bytes < live);
  }
  void threadsMayTakeTheirScratchAtOnce() {
    Context cx(4);
    cx.pool().run(64, [&](int64_t task, int thread) {
      auto* p = static_cast<uint8_t*>(cx.scratch(thread, 0, 100 + static_cast<size_t>(task) * 50));
      std::memset(p, thread, 100);
      if (p[99] != thread) throw std::runtime_error("another thread wrote here");
    });
  }
  void defaultsAreTheMachine() {
    Context cx;
    QCOMPARE(cx.threads(), default_threads());
    QVERIFY(cx.level() == cpu_level());
    QVERIFY(cx.device() == DeviceType::cpu);
    cx.set_level(CpuLevel::scalar);
    QVERIFY(cx.level() == CpuLevel::scalar);
  }
  void anEmptySlotSaysSo() {
    KernelSlot<void (*)()> slot("some_op");
    QVERIFY(!slot.has(DeviceType::cpu));
    VERIFY_THROWS(slot.get(DeviceType::cuda), UnsupportedError, "some_op: no kernel for cuda");
    slot.set(DeviceType::cpu, +[] {});
    QVERIFY(slot.has(DeviceType::cpu) && !slot.has(DeviceType::cuda));
    QVERIFY(slot.get(DeviceType::cpu) != nullptr);
  }
};

LORIKEET_TEST_MAIN(ContextTest)
#include "context_test.moc"
