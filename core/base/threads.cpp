// Each thread has its share of the tasks; whoever is done with his takes what others have not begun, so that a core that
// is slowed down by the rest of the machine does not hold up the region.
// Workers spin for a short while for the next region (a training step has thousands of them), then sleep.
#include "core/base/threads.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "core/base/error.h"
#include "core/base/topology.h"

namespace lorikeet {

struct ThreadPool::State {
  std::vector<std::thread> workers;
  std::mutex region;  // one parallel region at a time
  std::mutex mutex;
  std::condition_variable wake;
  std::atomic<uint64_t> generation{0};
  std::atomic<int> running{0};
  std::atomic<bool> quit{false};
  const std::function<void(int64_t, int)>* body = nullptr;
  int64_t tasks = 0;
  int threads = 1;
  /// How many of its own tasks a thread's share has given out, to itself or to others.
  struct alignas(64) Share { std::atomic<int64_t> taken{0}; };
  std::vector<Share> shares;
  std::stop_token stop;
  std::mutex error_mutex;
  std::exception_ptr error;

  /// Tasks of the share that nobody has begun.
  void work_on(int share, int thread) {
    std::atomic<int64_t>& taken = shares[static_cast<size_t>(share)].taken;
    for (int64_t t; (t = share + taken.fetch_add(1, std::memory_order_relaxed) * threads) < tasks;) {
      if (stop.stop_requested()) throw Interrupted("stopped");
      (*body)(t, thread);
    }
  }
  void work(int thread) {
    try {
      for (int i = 0; i < threads; ++i) work_on((thread + i) % threads, thread);
    } catch (...) {
      std::lock_guard lock(error_mutex);
      if (!error) error = std::current_exception();
    }
  }
  void loop(int thread) {
    constexpr int kSpins = 8000;
    uint64_t seen = 0;
    while (true) {
      int spins = 0;
      while (generation.load(std::memory_order_acquire) == seen && !quit) {
        if (++spins < kSpins) {
          __builtin_ia32_pause();
        } else {
          std::unique_lock lock(mutex);
          wake.wait(lock, [&] { return generation.load() != seen || quit.load(); });
        }
      }
      if (quit) return;
      seen = generation.load(std::memory_order_acquire);
      work(thread);
      running.fetch_sub(1, std::memory_order_acq_rel);
    }
  }
};

ThreadPool::ThreadPool(int threads, std::vector<int> cpus) : state_(std::make_unique<State>()), threads_(std::max(1, threads)) {
  state_->threads = threads_;
  state_->shares = std::vector<State::Share>(static_cast<size_t>(threads_));
  for (int i = 1; i < threads_; ++i) state_->workers.emplace_back([this, i, cpu = cpus.empty() ? -1 : cpus[static_cast<size_t>(i) % cpus.size()]] {
      if (cpu >= 0) bind_this_thread({cpu});  // refused: slower perhaps, never wrong
      state_->loop(i);
    });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(state_->mutex);
    state_->quit = true;
  }
  state_->wake.notify_all();
  for (auto& w : state_->workers) w.join();
}

void ThreadPool::run(int64_t tasks, const std::function<void(int64_t, int)>& body) {
  if (tasks <= 0) return;
  State& s = *state_;
  std::lock_guard region(s.region);
  s.body = &body;
  s.tasks = tasks;
  s.error = nullptr;
  for (State::Share& share : s.shares) share.taken.store(0, std::memory_order_relaxed);
  const bool alone = threads_ == 1 || tasks == 1;
  if (!alone) {
    s.running.store(threads_ - 1, std::memory_order_release);
    {
      std::lock_guard lock(s.mutex);
      s.generation.fetch_add(1, std::memory_order_release);
    }
    s.wake.notify_all();
  }
  s.work(0);
  for (int spins = 0; !alone && s.running.load(std::memory_order_acquire) != 0; ++spins) {
    if (spins < 20000) __builtin_ia32_pause();
    else std::this_thread::yield();  // a busy machine: let the workers have the core
  }
  if (s.error) std::rethrow_exception(s.error);
}

void ThreadPool::for_blocks(int64_t n, int64_t block, const std::function<void(int64_t, int64_t, int)>& body) {
  const int64_t blocks = (n + block - 1) / block;
  run(blocks, [&](int64_t b, int thread) { body(b * block, std::min(n, (b + 1) * block), thread); });
}

void ThreadPool::set_stop(std::stop_token stop) {
  std::lock_guard region(state_->region);
  state_->stop = std::move(stop);
}

}  // namespace lorikeet
