/// The program's own thread pool: one parallel region at a time, static partition with the leftovers shared. A task's
/// result must not depend on the thread that runs it (`thread` names scratch memory, never a sum): then it is the same for
/// every run and number of threads.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <vector>

namespace lorikeet {

/// Workers that wait for parallel regions. parallel_for may be called from one thread at a time (others wait).
/// Exceptions thrown by the body are rethrown in the caller (the first one). A body must not start a region itself.
class ThreadPool {
 public:
  /// `threads` >= 1 counts the calling thread too. `cpus`: CPUs to pin to, one after the other (empty: the system places
  /// the threads). The first is left to the calling thread, which is not bound itself: threads it starts would inherit that.
  explicit ThreadPool(int threads, std::vector<int> cpus = {});
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  int threads() const { return threads_; }
  /// Calls body(task, thread) for task = 0..tasks-1; task t belongs to thread t % threads, and goes to another one only
  /// when that one has no tasks left.
  void run(int64_t tasks, const std::function<void(int64_t task, int thread)>& body);
  /// Splits [0, n) into blocks of `block` and calls body(begin, end, thread) for each block.
  void for_blocks(int64_t n, int64_t block, const std::function<void(int64_t begin, int64_t end, int thread)>& body);
  /// Regions ask `stop` before each of their tasks and throw Interrupted once it is set; see StopScope.
  void set_stop(std::stop_token stop);

 private:
  struct State;
  std::unique_ptr<State> state_;
  int threads_;
};

/// While it lives, parallel regions of `pool` can be stopped in the middle. Only around work whose results are thrown
/// away when it is cut off (a forward or backward pass), never around an update in place.
class StopScope {
 public:
  StopScope(ThreadPool& pool, std::stop_token stop) : pool_(pool) { pool_.set_stop(std::move(stop)); }
  ~StopScope() { pool_.set_stop({}); }
  StopScope(const StopScope&) = delete;
  StopScope& operator=(const StopScope&) = delete;

 private:
  ThreadPool& pool_;
};

}  // namespace lorikeet
