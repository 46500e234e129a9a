// The threads of a block take turns in rounds; a round in which none could go on is a deadlock and says who waits where.
#include "cuda/emulation/block.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <numeric>
#include <vector>

#include <fmt/format.h>

#include "cuda/emulation/device_space.h"
#include "cuda/emulation/fiber.h"
#include "cuda/emulation/recording.h"
#include "cuda/emulation/shared_shadow.h"

namespace lorikeet::cuda::emulation {
namespace {

constexpr unsigned kLanes = 32;
constexpr unsigned kMostThreads = 1024;

struct LateCopy {
  size_t to;
  const void* from;
  size_t bytes;
};

enum class Waits { nothing, barrier, warp };

struct Thread {
  Index3 index;
  unsigned rank = 0;
  bool done = false;
  Waits waits = Waits::nothing;
  Place place = Place::current();
  uint64_t ticket = 0;  // the meeting it waits for the end of
  uint64_t next_slot = 0;
  std::vector<LateCopy> open;              // since the last commit
  std::deque<std::vector<LateCopy>> groups;
};

/// Where lanes of a warp meet.
struct Warp {
  unsigned arrived = 0, mask = 0;
  uint64_t meeting = 0, synchronised = 0;
  const char* operation = nullptr;
  Place place = Place::current();
  alignas(16) char slots[2][kLanes][kExchangeBytes];
};

struct Block {
  const Launch* launch = nullptr;
  const std::function<void()>* body = nullptr;
  Index3 index;
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  std::vector<char> shared;
  SharedShadow shadow;
  uint64_t barriers = 0;
  unsigned at_barrier = 0, done = 0;
  Place barrier_place = Place::current();
  Thread* current = nullptr;
  std::exception_ptr failure;
};

thread_local Block* block = nullptr;
thread_local std::vector<std::unique_ptr<Fiber>> fibers;  // kept between launches
uint64_t seed_in_use = [] {
  const char* text = std::getenv("LORIKEET_EMULATION_SEED");
  return text ? std::strtoull(text, nullptr, 10) : 0;
}();
std::atomic<int64_t> launched = 0;

/// splitmix64
struct Draws {
  uint64_t state;
  uint64_t operator()() {
    uint64_t z = (state += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
};
void shuffle(std::vector<unsigned>& order, Draws& draws) {
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[static_cast<size_t>(draws() % i)]);
}

std::string place_text(const Place& p) {
  const std::string file = p.file_name();
  return file.substr(file.rfind('/') + 1) + ":" + std::to_string(p.line());
}
std::string thread_text(const Thread& t) { return fmt::format("thread {} {} {}", t.index.x, t.index.y, t.index.z); }

void enter(void*) {
  Thread& t = *block->current;
  try {
    (*block->body)();
    if (!t.open.empty() || !t.groups.empty()) fail("it ends with asynchronous copies that were never waited for");
  } catch (...) {
    if (!block->failure) block->failure = std::current_exception();
  }
  t.done = true;
  ++block->done;
  fibers[t.rank]->leave();
}

bool may_run(const Thread& t) {
  if (t.done) return false;
  if (t.waits == Waits::barrier) return block->barriers > t.ticket;
  if (t.waits == Waits::warp) return block->warps[t.rank / kLanes].meeting > t.ticket;
  return true;
}

[[noreturn]] void deadlock() {
  std::string waiting;
  int named = 0;
  for (const Thread& t : block->threads) {
    if (t.done || named >= 3) continue;
    ++named;
    waiting += fmt::format("{}{} waits {} at {}", waiting.empty() ? "" : "; ", thread_text(t), t.waits == Waits::barrier ? "for the block" : "for its warp", place_text(t.place));
  }
  throw EmulationError(fmt::format("kernel {}, block {} {} {}: {} of {} threads have left, the others wait for ever: {}", block->launch->kernel, block->index.x,
                                   block->index.y, block->index.z, block->done, block->threads.size(), waiting));
}

void run_threads(std::vector<unsigned>& order, Draws& draws) {
  const auto count = static_cast<unsigned>(block->threads.size());
  for (unsigned i = 0; i < count; ++i) fibers[i]->start(&enter, nullptr);
  while (block->done < count) {
    if (seed_in_use != 0) shuffle(order, draws);
    bool any = false;
    for (const unsigned i : order) {
      Thread& t = block->threads[i];
      if (!may_run(t)) continue;
      any = true;
      t.waits = Waits::nothing;
      block->current = &t;
      fibers[i]->resume();
      if (block->failure) std::rethrow_exception(block->failure);
    }
    if (!any) deadlock();
  }
}

void reset(Block& b, Index3 index) {
  b.index = index;
  b.at_barrier = b.done = 0;
  b.barriers = 0;
  std::fill(b.shared.begin(), b.shared.end(), static_cast<char>(0xFF));
  b.shadow.reset(b.shared.size());
  for (Warp& w : b.warps) {
    w.arrived = 0;
    w.meeting = w.synchronised = 0;
  }
  const Index3 size = b.launch->block;
  for (unsigned i = 0; i < b.threads.size(); ++i) {
    Thread& t = b.threads[i];
    t = Thread{};
    t.rank = i;
    t.index = {i % size.x, i / size.x % size.y, i / (size.x * size.y)};
  }
}

void check(const Launch& l, uint64_t threads) {
  const auto refuse = [&](const std::string& why) { throw EmulationError(fmt::format("kernel {}: {}", l.kernel, why)); };
  if (threads == 0 || threads > kMostThreads) refuse(fmt::format("blocks of {} threads; 1 to {} are possible", threads, kMostThreads));
  if (l.grid.x == 0 || l.grid.y == 0 || l.grid.z == 0) refuse("an empty grid");
  if (l.grid.x > 0x7fffffffu || l.grid.y > 65535u || l.grid.z > 65535u) refuse(fmt::format("a grid of {} x {} x {} is too large", l.grid.x, l.grid.y, l.grid.z));
  if (l.shared_bytes > 227u << 10) refuse(fmt::format("{} bytes of shared memory; no card has them", l.shared_bytes));
}

Thread& me() { return *block->current; }

void wait(Waits what, uint64_t ticket, const Place& place) {
  Thread& t = me();
  t.waits = what;
  t.ticket = ticket;
  t.place = place;
  fibers[t.rank]->yield();
}

/// The lane meets the others of `mask`; true for the last one to come.
bool meet(Warp& w, unsigned mask, const char* operation, const Place& place) {
  const unsigned lane = me().rank % kLanes;
  if ((mask >> lane & 1u) == 0) fail(fmt::format("{} at {} with a mask that does not name the lane itself", operation, place_text(place)));
  if (w.arrived == 0) {
    w.mask = mask;
    w.operation = operation;
    w.place = place;
  } else if (w.mask != mask || std::strcmp(w.operation, operation) != 0 || w.place.line() != place.line()) {
    fail(fmt::format("lanes of a warp meet in different operations: {} (mask {:08x}) at {}, {} (mask {:08x}) at {}", w.operation, w.mask, place_text(w.place), operation, mask,
                     place_text(place)));
  }
  w.arrived |= 1u << lane;
  if (w.arrived != w.mask) return false;
  w.arrived = 0;
  ++w.meeting;
  return true;
}

}  // namespace

void set_seed(uint64_t seed) { seed_in_use = seed; }

void fail(const std::string& what) {
  const Thread& t = me();
  throw EmulationError(fmt::format("kernel {}, block {} {} {}, {}: {}", block->launch->kernel, block->index.x, block->index.y, block->index.z, thread_text(t), what));
}

void run_grid(const Launch& launch, const std::function<void()>& body) {
  const uint64_t count = uint64_t{launch.block.x} * launch.block.y * launch.block.z;
  check(launch, count);
  if (recorded([launch, body] { run_grid(launch, body); })) return;
  const int64_t number = ++launched;
  const DeviceAccess access;
  Block b;
  b.launch = &launch;
  b.body = &body;
  b.threads.resize(count);
  b.warps.resize((count + kLanes - 1) / kLanes);
  b.shared.resize(launch.shared_bytes);
  while (fibers.size() < count) fibers.push_back(std::make_unique<Fiber>());
  block = &b;
  struct Reset {
    ~Reset() { block = nullptr; }
  } at_end;
  Draws draws{seed_in_use + static_cast<uint64_t>(number)};
  std::vector<unsigned> order(count), blocks(static_cast<size_t>(launch.grid.x) * launch.grid.y * launch.grid.z);
  std::iota(order.begin(), order.end(), 0u);
  std::iota(blocks.begin(), blocks.end(), 0u);
  if (seed_in_use != 0) shuffle(blocks, draws);
  for (const unsigned i : blocks) {
    reset(b, {i % launch.grid.x, i / launch.grid.x % launch.grid.y, i / (launch.grid.x * launch.grid.y)});
    run_threads(order, draws);
  }
  check_guards(launch.kernel);
}

const Index3& thread_index() { return me().index; }
const Index3& block_index() { return block->index; }
const Index3& block_size() { return block->launch->block; }
const Index3& grid_size() { return block->launch->grid; }
unsigned thread_rank() { return me().rank; }

void barrier(Place place) {
  if (block->at_barrier == 0) block->barrier_place = place;
  else if (block->barrier_place.line() != place.line())
    fail(fmt::format("threads of the block wait at different barriers: {} and {}", place_text(block->barrier_place), place_text(place)));
  if (++block->at_barrier == block->threads.size()) {
    block->at_barrier = 0;
    ++block->barriers;
    block->shadow.block_barrier();
    return;
  }
  wait(Waits::barrier, block->barriers, place);
}

const char* exchange(unsigned mask, const void* mine, size_t bytes, const char* operation, Place place) {
  Thread& t = me();
  Warp& w = block->warps[t.rank / kLanes];
  const uint64_t meeting = w.meeting;
  char(&slots)[kLanes][kExchangeBytes] = w.slots[meeting & 1];
  std::memcpy(slots[t.rank % kLanes], mine, bytes);
  if (!meet(w, mask, operation, place)) wait(Waits::warp, meeting, place);
  return &slots[0][0];
}

void warp_barrier(unsigned mask, Place place) {
  Thread& t = me();
  Warp& w = block->warps[t.rank / kLanes];
  const uint64_t meeting = w.meeting;
  if (meet(w, mask, "syncwarp", place)) block->shadow.warp_barrier(t.rank / kLanes);
  else wait(Waits::warp, meeting, place);
}

void touch_shared(size_t at, size_t bytes, bool write) {
  if (at + bytes > block->shared.size() || at + bytes < at)
    fail(fmt::format("bytes {} to {} of shared memory are {}; the block has {}", at, at + bytes, write ? "written" : "read", block->shared.size()));
  const std::string race = block->shadow.touch(at, bytes, me().rank, write);
  if (!race.empty()) fail(race);
}
char* shared_memory() { return block->shared.data(); }
size_t shared_memory_bytes() { return block->shared.size(); }

void copy_later(size_t shared_at, const void* from, size_t bytes) {
  touch_shared(shared_at, bytes, true);
  std::memset(shared_memory() + shared_at, 0xFF, bytes);
  me().open.push_back({shared_at, from, bytes});
}
void commit_copies() { me().groups.push_back(std::exchange(me().open, {})); }
void wait_copies(int groups_left) {
  Thread& t = me();
  while (static_cast<int>(t.groups.size()) > groups_left) {
    for (const LateCopy& c : t.groups.front()) {
      std::memcpy(shared_memory() + c.to, c.from, c.bytes);
      touch_shared(c.to, c.bytes, true);
    }
    t.groups.pop_front();
  }
}

}  // namespace lorikeet::cuda::emulation
