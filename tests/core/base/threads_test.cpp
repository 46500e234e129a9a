#include "core/base/threads.h"

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "core/base/error.h"
#include "tests/support/support.h"

using namespace lorikeet;

class ThreadsTest : public QObject {
  Q_OBJECT
 private slots:
  void everyTaskRunsOnceOnItsThread() {
    for (int threads : {1, 2, 3, 7}) {
      ThreadPool pool(threads);
      for (int64_t tasks : {0, 1, 2, 5, 1000}) {
        std::vector<std::atomic<int>> count(static_cast<size_t>(tasks));
        std::atomic<bool> right{true};
        pool.run(tasks, [&](int64_t task, int thread) {
          count[static_cast<size_t>(task)]++;
          if (tasks > 1 && thread != task % threads) right = false;
        });
        for (auto& c : count) QCOMPARE(c.load(), 1);
        QVERIFY(right.load());
      }
    }
  }
  void blocksCoverTheRange() {
    ThreadPool pool(3);
    std::vector<std::atomic<int>> seen(101);
    pool.for_blocks(101, 10, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) seen[static_cast<size_t>(i)]++;
    });
    for (auto& s : seen) QCOMPARE(s.load(), 1);
  }
  void exceptionsReachTheCallerAndThePoolLives() {
    ThreadPool pool(4);
    VERIFY_THROWS(pool.run(8, [](int64_t t, int) { if (t == 5) throw std::runtime_error("task 5"); }), std::runtime_error, "task 5");
    std::atomic<int> n{0};
    pool.run(8, [&](int64_t, int) { n++; });
    QCOMPARE(n.load(), 8);
  }
  void aRegionStopsBetweenItsTasks() {
    ThreadPool pool(2);
    std::stop_source stop;
    std::atomic<int> done{0};
    {
      const StopScope scope(pool, stop.get_token());
      VERIFY_THROWS(pool.run(1000, [&](int64_t, int) { if (++done == 10) stop.request_stop(); }), Interrupted, "stopped");
      QVERIFY(done.load() < 20);
      VERIFY_THROWS(pool.run(1, [&](int64_t, int) { done = 1000; }), Interrupted, "stopped");
    }
    pool.run(8, [&](int64_t, int) { done = 8; });  // the scope has ended
    QCOMPARE(done.load(), 8);
  }
  void manyRegionsFromTwoThreads() {
    ThreadPool pool(2);
    std::atomic<int64_t> sum{0};
    auto caller = [&] { for (int i = 0; i < 2000; ++i) pool.run(4, [&](int64_t t, int) { sum += t; }); };
    std::thread other(caller);
    caller();
    other.join();
    QCOMPARE(sum.load(), int64_t{2 * 2000 * 6});
  }
};

LORIKEET_TEST_MAIN(ThreadsTest)
#include "threads_test.moc"
