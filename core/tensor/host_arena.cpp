// One reserved address range; blocks best fit by size, neighbours merged by address, the untouched end never committed.
#include "core/tensor/host_arena.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/system.h"
#include "core/base/text.h"

namespace lorikeet {
namespace {

constexpr size_t kAlign = 64;
constexpr size_t kPage = 4096;
constexpr size_t kMostRange = size_t{1} << 42, kLeastRange = size_t{1} << 26;
constexpr size_t kCheckBytes = 16u << 20;  // requests from here on are compared with the memory available

size_t rounded_up(size_t bytes) {
  if (bytes > SIZE_MAX - kAlign) throw OutOfMemoryError("out of memory: " + human_bytes(bytes) + " asked", bytes, available_memory_bytes());
  return (bytes + kAlign - 1) / kAlign * kAlign;
}

/// `limit` 0: none.
void refuse_over_limit(uint64_t limit, uint64_t live, size_t size) {
  if (limit > 0 && live + size > limit)
    throw OutOfMemoryError(fmt::format("memory limit reached: {} more asked, {} of {} in use", human_bytes(size), human_bytes(live), human_bytes(limit)), size,
                           limit - std::min(limit, live));
}

class Arena {
  // `held`: bytes of the hole that the system counts as ours, so not as available; 0 after trim().
  struct Hole { size_t size, held; };

 public:
  static Arena& instance() {
    static Arena* arena = new Arena;  // never destroyed: storage may outlive static destruction order
    return *arena;
  }
  void* allocate(size_t bytes) {
    const std::lock_guard lock(mutex_);
    const size_t size = rounded_up(bytes);
    check(size);
    char* at = take(size);
    used_.emplace(at, size);
    statistics_.live_bytes += size;
    statistics_.peak_bytes = std::max(statistics_.peak_bytes, statistics_.live_bytes);
    return at;
  }
  void free(void* pointer) {
    const std::lock_guard lock(mutex_);
    const auto it = used_.find(static_cast<char*>(pointer));
    const size_t size = it->second;
    used_.erase(it);
    statistics_.live_bytes -= size;
    give(static_cast<char*>(pointer), size);
  }
  ArenaStatistics statistics() {
    const std::lock_guard lock(mutex_);
    ArenaStatistics s = statistics_;
    s.span_bytes = static_cast<uint64_t>(top_ - base_);
    return s;
  }
  void reset_peak() {
    const std::lock_guard lock(mutex_);
    statistics_.peak_bytes = statistics_.live_bytes;
  }
  void set_limit(uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    limit_ = bytes;
  }
  void trim() {
    const std::lock_guard lock(mutex_);
    for (auto& [at, hole] : free_) {
      drop(at, hole.size);
      held_ -= hole.held;
      hole.held = 0;
    }
  }

 private:
  Arena() {
    reserved_ = wanted_range();
    void* range = MAP_FAILED;
    while (reserved_ >= kLeastRange) {
      range = ::mmap(nullptr, reserved_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (range != MAP_FAILED) break;
      reserved_ /= 2;
    }
    if (range == MAP_FAILED) throw OutOfMemoryError("no address range for tensors could be reserved (ulimit -v?)", reserved_, 0);
    base_ = top_ = static_cast<char*>(range);
  }
  /// Addresses only; the system commits a page when it is first written. Where addresses are rationed (ulimit -v), half
  /// of them: mapped files and the rest of the program need theirs.
  static size_t wanted_range() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) return std::min<size_t>(kMostRange, limit.rlim_cur / 2 / kPage * kPage);
    return kMostRange;
  }
  void check(size_t size) {
    refuse_over_limit(limit_, statistics_.live_bytes, size);
    if (size < kCheckBytes) return;
    const uint64_t available = available_memory_bytes() + held_;
    if (available > 0 && size > available)
      throw OutOfMemoryError(fmt::format("out of memory: {} asked, {} available", human_bytes(size), human_bytes(available)), size, available);
  }
  char* take(size_t size) {
    const auto fit = by_size_.lower_bound({size, nullptr});
    if (fit != by_size_.end()) {
      const auto [whole, at] = *fit;
      const size_t held = forget(at);
      // Which pages of a hole are held is not known once it was merged: the block gets them first.
      if (whole > size) remember(at + size, {whole - size, held > size ? held - size : 0});
      return at;
    }
    if (static_cast<size_t>(base_ + reserved_ - top_) < size)
      throw OutOfMemoryError("out of address space for tensors: " + human_bytes(size) + " asked", size, static_cast<uint64_t>(base_ + reserved_ - top_));
    char* at = top_;
    top_ += size;
    return at;
  }
  void give(char* at, size_t size) {
    size_t held = size;
    auto next = free_.lower_bound(at);
    if (next != free_.end() && at + size == next->first) {
      size += next->second.size;
      held += forget(next->first);
    }
    auto previous = free_.lower_bound(at);
    if (previous != free_.begin() && std::prev(previous)->first + std::prev(previous)->second.size == at) {
      at = std::prev(previous)->first;
      size += std::prev(previous)->second.size;
      held += forget(at);
    }
    if (at + size == top_ && size >= kCheckBytes) {  // a large end goes back at once, small ones are soon needed again
      drop(at, size);
      top_ = at;
      return;
    }
    remember(at, {size, held});
  }
  void remember(char* at, Hole hole) {
    free_.emplace(at, hole);
    by_size_.emplace(hole.size, at);
    held_ += hole.held;
  }
  /// Returns how much of the hole was held.
  size_t forget(char* at) {
    const auto it = free_.find(at);
    const Hole hole = it->second;
    by_size_.erase({hole.size, at});
    free_.erase(it);
    held_ -= hole.held;
    return hole.held;
  }
  static void drop(char* at, size_t size) {
    const auto begin = (reinterpret_cast<uintptr_t>(at) + kPage - 1) / kPage * kPage;
    const auto end = (reinterpret_cast<uintptr_t>(at) + size) / kPage * kPage;
    if (end > begin) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }

  std::mutex mutex_;
  char *base_ = nullptr, *top_ = nullptr;
  size_t reserved_ = 0;
  uint64_t limit_ = 0;
  std::map<char*, size_t> used_;
  std::map<char*, Hole> free_;
  uint64_t held_ = 0;  // over all holes
  std::set<std::pair<size_t, char*>> by_size_;
  ArenaStatistics statistics_;
};

}  // namespace

#ifdef LORIKEET_SANITIZED
namespace {
std::mutex counts_mutex;
ArenaStatistics counts;
uint64_t counts_limit = 0;
}  // namespace
// Under sanitizers every block is an allocation of its own, so that an overflow is seen.
std::shared_ptr<void> arena_allocate(size_t bytes) {
  const size_t size = rounded_up(bytes);
  const std::lock_guard lock(counts_mutex);
  refuse_over_limit(counts_limit, counts.live_bytes, size);
  if (size > available_memory_bytes())
    throw OutOfMemoryError("out of memory: " + human_bytes(size) + " asked", size, available_memory_bytes());
  void* p = std::aligned_alloc(kAlign, size);
  if (!p) throw OutOfMemoryError("out of memory: " + human_bytes(size) + " asked", size, available_memory_bytes());
  std::memset(p, 0xFF, size);  // NaN in every float type: reading what was never written shows
  counts.live_bytes += size;
  counts.peak_bytes = std::max(counts.peak_bytes, counts.live_bytes);
  counts.span_bytes = std::max(counts.span_bytes, counts.live_bytes);
  return {p, [size](void* q) {
            const std::lock_guard free_lock(counts_mutex);
            counts.live_bytes -= size;
            std::free(q);
          }};
}
ArenaStatistics arena_statistics() {
  const std::lock_guard lock(counts_mutex);
  return counts;
}
void arena_reset_peak() {
  const std::lock_guard lock(counts_mutex);
  counts.peak_bytes = counts.live_bytes;
}
void arena_trim() {}
void arena_set_limit(uint64_t bytes) {
  const std::lock_guard lock(counts_mutex);
  counts_limit = bytes;
}
#else
std::shared_ptr<void> arena_allocate(size_t bytes) {
  return {Arena::instance().allocate(bytes), [](void* p) { Arena::instance().free(p); }};
}
ArenaStatistics arena_statistics() { return Arena::instance().statistics(); }
void arena_reset_peak() { Arena::instance().reset_peak(); }
void arena_trim() { Arena::instance().trim(); }
void arena_set_limit(uint64_t bytes) { Arena::instance().set_limit(bytes); }
#endif

}  // namespace lorikeet
