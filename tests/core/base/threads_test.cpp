#include "core/base/threads.h"

#include <sched.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "core/base/error.h"
#include "core/base/topology.h"
#include "tests/support/support.h"

using namespace lorikeet;

namespace {

double processor_seconds() {
  rusage u{};
  getrusage(RUSAGE_SELF, &u);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6; };
  return seconds(u.ru_utime) + seconds(u.ru_stime);
}

/// The CPUs the calling thread may run on.
std::vector<int> affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof set, &set);
  std::vector<int> out;
  for (int i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(i, &set)) out.push_back(i);
  return out;
}

}  // namespace

class ThreadsTest : public QObject {
  Q_OBJECT
 private slots:
  void everyTaskRunsOnce() {
    for (int threads : {1, 2, 3, 7}) {
      ThreadPool pool(threads);
      for (int64_t tasks : {0, 1, 2, 5, 1000}) {
        std::vector<std::atomic<int>> count(static_cast<size_t>(tasks));
        std::atomic<bool> right{true};
        pool.run(tasks, [&](int64_t task, int thread) {
          count[static_cast<size_t>(task)]++;
          if (thread < 0 || thread >= threads) right = false;
        });
        for (auto& c : count) QCOMPARE(c.load(), 1);
        QVERIFY(right.load());
      }
    }
  }
  // A thread held up in its first task leaves the rest of its share to the others.
  void leftoversAreShared() {
    ThreadPool pool(2);
    std::atomic<int> done{0}, by_other{0};
    pool.run(20, [&](int64_t task, int thread) {
      if (task == 0) while (done < 19) std::this_thread::yield();
      if (task % 2 == 0 && thread == 1) by_other++;
      done++;
    });
    QCOMPARE(done.load(), 20);
    QVERIFY2(by_other >= 9, qPrintable(QString::number(by_other.load())));
  }
  // At the end of a share its owner and the others meet: no task may be lost or run twice.
  void manyShortRegions() {
    ThreadPool pool(3);
    for (int round = 0; round < 3000; ++round) {
      std::vector<std::atomic<int>> count(static_cast<size_t>(1 + round % 17));
      pool.run(static_cast<int64_t>(count.size()), [&](int64_t task, int) { count[static_cast<size_t>(task)]++; });
      for (auto& c : count) QCOMPARE(c.load(), 1);
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
  // Workers spin for a moment after a region, then sleep: a pool nobody uses takes no processor time.
  void anIdlePoolUsesNoTime() {
    ThreadPool pool(4);
    pool.run(8, [](int64_t, int) {});
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const double before = processor_seconds();
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    const double used = processor_seconds() - before;
    QVERIFY2(used < 0.01, qPrintable(QString("%1 s").arg(used)));
    std::atomic<int> n{0};  // and wakes when there is work again
    pool.run(8, [&](int64_t, int) { n++; });
    QCOMPARE(n.load(), 8);
  }
  void workersStayWhereTheyArePinned() {
    const std::vector<int> order = read_topology().pin_order();
    const int threads = 3;
    ThreadPool pool(threads, order);
    std::atomic<bool> right{true};
    const auto before = affinity();
    pool.run(threads, [&](int64_t, int thread) {
      if (thread > 0 && affinity() != std::vector<int>{order[static_cast<size_t>(thread) % order.size()]}) right = false;
    });
    QVERIFY(right.load());
    QVERIFY(affinity() == before);  // the calling thread is not bound
    ThreadPool impossible(2, {1 << 20});
    std::atomic<int> n{0};
    impossible.run(8, [&](int64_t, int) { n++; });
    QCOMPARE(n.load(), 8);
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
