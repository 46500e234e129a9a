#include "core/tensor/host_arena.h"

#include <cstring>
#include <map>
#include <thread>
#include <vector>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/system.h"
#include "tests/support/support.h"

using namespace lorikeet;

class HostArenaTest : public QObject {
  Q_OBJECT
 private slots:
  void countsLiveAndPeak() {
    const auto before = arena_statistics();
    arena_reset_peak();
    {
      auto a = arena_allocate(1000), b = arena_allocate(1);
      QCOMPARE(arena_statistics().live_bytes - before.live_bytes, uint64_t{1024 + 64});
      a.reset();
      auto c = arena_allocate(64);
      QCOMPARE(arena_statistics().peak_bytes - before.live_bytes, uint64_t{1024 + 64});
    }
    QCOMPARE(arena_statistics().live_bytes, before.live_bytes);
    arena_reset_peak();
    QCOMPARE(arena_statistics().peak_bytes, before.live_bytes);
  }
  void blocksNeverOverlapUnderRandomUse() {
    struct Block { std::shared_ptr<void> memory; size_t bytes; uint8_t mark; };
    std::vector<Block> blocks;
    RandomStream random(11, 2);
    for (int step = 0; step < 20000; ++step) {
      if (!blocks.empty() && (blocks.size() > 200 || random.below(2) == 0)) {
        const size_t at = random.below(blocks.size());
        const auto* p = static_cast<const uint8_t*>(blocks[at].memory.get());
        for (size_t i = 0; i < blocks[at].bytes; ++i) QCOMPARE(p[i], blocks[at].mark);
        blocks[at] = std::move(blocks.back());
        blocks.pop_back();
      } else {
        const size_t bytes = 1 + random.below(random.below(10) == 0 ? 100000 : 700);
        Block b{arena_allocate(bytes), bytes, static_cast<uint8_t>(random.below(256))};
        QCOMPARE(reinterpret_cast<uintptr_t>(b.memory.get()) % 64, uintptr_t{0});
        std::memset(b.memory.get(), b.mark, bytes);
        blocks.push_back(std::move(b));
      }
    }
  }
  void neighboursMergeAndAreUsedAgain() {
#ifdef LORIKEET_SANITIZED
    QSKIP("under sanitizers every block is an allocation of its own");
#endif
    auto a = arena_allocate(4096), b = arena_allocate(4096), c = arena_allocate(4096), wall = arena_allocate(64);
    void* first = a.get();
    const uint64_t span = arena_statistics().span_bytes;
    a.reset();
    c.reset();
    b.reset();  // joins both sides
    auto whole = arena_allocate(3 * 4096);
    QVERIFY(arena_statistics().span_bytes == span);
    QCOMPARE(whole.get(), first);
  }
  void aLimitIsARefusalWithTheFigures() {
    const uint64_t live = arena_statistics().live_bytes;
    arena_set_limit(live + (1 << 20));
    auto fits = arena_allocate(1 << 19);
    try {
      arena_allocate(1 << 20);
      arena_set_limit(0);
      QFAIL("over the limit, yet allocated");
    } catch (const OutOfMemoryError& e) {
      QCOMPARE(e.asked_bytes, uint64_t{1 << 20});
      QCOMPARE(e.free_bytes, uint64_t{1 << 19});
    }
    arena_set_limit(0);
    QVERIFY(arena_allocate(1 << 20) != nullptr);
  }
  void moreThanTheMachineHasIsRefused() {
    VERIFY_THROWS(arena_allocate(total_memory_bytes() * 4), OutOfMemoryError, "out of memory");
    VERIFY_THROWS(arena_allocate(SIZE_MAX - 10), OutOfMemoryError, "out of memory");
  }
  void trimGivesPagesBackAndKeepsLiveContents() {
#ifdef LORIKEET_SANITIZED
    QSKIP("under sanitizers every block is an allocation of its own");
#endif
    constexpr size_t kBytes = 48 << 20;
    auto kept = arena_allocate(1 << 20);
    std::memset(kept.get(), 7, 1 << 20);
    auto big = arena_allocate(kBytes), wall = arena_allocate(1 << 20);
    std::memset(big.get(), 1, kBytes);
    std::memset(wall.get(), 9, 1 << 20);
    const uint64_t full = resident_bytes();
    big.reset();
    arena_trim();
    QVERIFY(resident_bytes() + kBytes / 2 < full);
    for (size_t i = 0; i < (1 << 20); ++i)
      QVERIFY(static_cast<uint8_t*>(kept.get())[i] == 7 && static_cast<uint8_t*>(wall.get())[i] == 9);
  }
  void aHoleGivenBackIsNotCountedTwice() {
#ifdef LORIKEET_SANITIZED
    QSKIP("under sanitizers every block is an allocation of its own");
#endif
    // An untouched hole as large as half the memory: its pages are already in the system's "available".
    const uint64_t available = available_memory_bytes();
    auto big = arena_allocate(available / 2), wall = arena_allocate(64 << 20);  // the wall keeps the hole inside
    big.reset();
    arena_trim();
    VERIFY_THROWS(arena_allocate(available + available / 4), OutOfMemoryError, "out of memory");
  }
  void threadsMayAllocateAtOnce() {
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    const uint64_t before = arena_statistics().live_bytes;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([t, &wrong] {
        for (int i = 0; i < 2000; ++i) {
          auto p = arena_allocate(256 + static_cast<size_t>(i % 5) * 640);
          std::memset(p.get(), t, 256);
          if (static_cast<uint8_t*>(p.get())[255] != t) ++wrong;
        }
      });
    for (auto& t : threads) t.join();
    QCOMPARE(wrong.load(), 0);
    QCOMPARE(arena_statistics().live_bytes, before);
  }
};

LORIKEET_TEST_MAIN(HostArenaTest)
#include "host_arena_test.moc"
