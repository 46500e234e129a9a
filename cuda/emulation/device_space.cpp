#include "cuda/emulation/device_space.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "cuda/emulation/block.h"
#include "cuda/emulation/recording.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace lorikeet::cuda::emulation {
namespace {

constexpr size_t kAlign = 256, kGuard = 256;
constexpr size_t kRange = size_t{1} << 34;  // addresses only
constexpr size_t kSteps = kRange / 2;       // from here on what steps take
constexpr size_t kDefaultBytes = size_t{256} << 20;
constexpr unsigned char kGuardByte = 0xFF;  // NaN in every float type

size_t rounded(size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

/// Memory is given out by address, first fit: tests of tiny shapes need no more.
struct Space {
  std::mutex mutex;
  char* base;
  std::map<size_t, size_t> blocks;  // offset of the bytes given out -> how many
  uint64_t in_use = 0, peak = 0;
  size_t most = kDefaultBytes;
  int open = 0;
  bool lost = false;

  Space() {
    void* range = ::mmap(nullptr, kRange, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) throw OutOfMemoryError("no address range for the emulated device could be reserved", kRange, 0);
    base = static_cast<char*>(range);
  }
  size_t place(size_t bytes, Lifetime lifetime) const {
    size_t at = (lifetime == Lifetime::step ? kSteps : 0) + kGuard;
    for (const auto& [offset, size] : blocks) {
      if (offset < at) continue;
      if (at + bytes + kGuard <= offset) return at;
      at = offset + rounded(size) + kGuard;
    }
    return at;
  }
};
Space& space() {
  static Space* s = new Space;  // memory may be given back after static destruction began
  return *s;
}

void note_peak() { space().peak = std::max(space().peak, space().in_use); }

void poison([[maybe_unused]] const void* at, [[maybe_unused]] size_t bytes, [[maybe_unused]] bool on) {
#if defined(__SANITIZE_ADDRESS__)
  if (on) __asan_poison_memory_region(at, bytes);
  else __asan_unpoison_memory_region(at, bytes);
#endif
}

void take_at(Space& s, size_t at, size_t bytes) {
  s.blocks.emplace(at, bytes);
  s.in_use += bytes;
  char* p = s.base + at;
  poison(p - kGuard, rounded(bytes) + 2 * kGuard, false);
  std::memset(p - kGuard, kGuardByte, rounded(bytes) + 2 * kGuard);
  poison(p - kGuard, kGuard, true);
  poison(p + bytes, rounded(bytes) - bytes + kGuard, true);
}

/// For recorded work that runs again: the same bytes once more.
void take_again(size_t at, size_t bytes) {
  Space& s = space();
  const DeviceAccess access;
  const std::lock_guard lock(s.mutex);
  const auto next = s.blocks.lower_bound(at);
  const bool free_behind = next == s.blocks.end() || at + rounded(bytes) + kGuard <= next->first;
  const bool free_before = next == s.blocks.begin() || std::prev(next)->first + rounded(std::prev(next)->second) + kGuard <= at;
  if (!free_behind || !free_before) throw EmulationError(fmt::format("recorded work uses {} bytes of step memory that something else has by now", bytes));
  take_at(s, at, bytes);
  note_peak();
}

void give_back(size_t offset) {
  Space& s = space();
  const std::lock_guard lock(s.mutex);
  const size_t bytes = s.blocks.at(offset);
  s.blocks.erase(offset);
  s.in_use -= bytes;
  poison(s.base + offset, bytes, true);
}

}  // namespace

DeviceAccess::DeviceAccess() {
  Space& s = space();
  const std::lock_guard lock(s.mutex);
  if (s.lost) throw DeviceLostError("the GPU was lost (emulated)\nThe run stopped at its last checkpoint; start the program again to resume it from there, or go on with --device cpu");
  if (s.open++ == 0) ::mprotect(s.base, kRange, PROT_READ | PROT_WRITE);
}
DeviceAccess::~DeviceAccess() {
  Space& s = space();
  const std::lock_guard lock(s.mutex);
  if (--s.open == 0) ::mprotect(s.base, kRange, PROT_NONE);
}

std::shared_ptr<void> allocate_device(size_t bytes) {
  if (recording() && lifetime() == Lifetime::lasting) throw UnsupportedError("a recorded step asks for memory that lasts");
  Space& s = space();
  const DeviceAccess access;
  const std::lock_guard lock(s.mutex);
  if (s.in_use + bytes > s.most || bytes > s.most)
    throw OutOfMemoryError(fmt::format("the GPU has too little free memory: {} asked, {} of {} free (emulated)", human_bytes(bytes), human_bytes(s.most - std::min<uint64_t>(s.most, s.in_use)), human_bytes(s.most)),
                           bytes, s.most - std::min<uint64_t>(s.most, s.in_use));
  const size_t at = s.place(std::max<size_t>(bytes, 1), lifetime());
  if (at + bytes + 2 * kGuard > (lifetime() == Lifetime::step ? kRange : kSteps)) throw OutOfMemoryError("the emulated device has no addresses left", bytes, 0);
  take_at(s, at, bytes);
  note_peak();
  if (lifetime() == Lifetime::lasting) return {s.base + at, [at](void*) { give_back(at); }};
  recorded([at, bytes] { take_again(at, bytes); });
  return {s.base + at, [at](void*) {
            recorded([at] { give_back(at); });
            give_back(at);
          }};
}

void set_device_bytes(size_t bytes) { space().most = bytes ? bytes : kDefaultBytes; }
void set_lost(bool lost) { space().lost = lost; }
uint64_t device_bytes_in_use() { return space().in_use; }
uint64_t device_bytes_peak() { return space().peak; }
void reset_device_peak() { space().peak = space().in_use; }
uint64_t device_bytes() { return space().most; }

void check_guards([[maybe_unused]] const std::string& who) {
#if !defined(__SANITIZE_ADDRESS__)  // which stops at the access itself
  Space& s = space();
  const std::lock_guard lock(s.mutex);
  static const std::string whole(kGuard + kAlign, static_cast<char>(kGuardByte));
  for (const auto& [offset, size] : s.blocks) {
    const char* p = s.base + offset;
    const size_t behind = rounded(size) - size + kGuard;
    for (const auto& [at, bytes, where] : {std::tuple{p - kGuard, kGuard, "before"}, std::tuple{p + size, behind, "behind"}})
      if (std::memcmp(at, whole.data(), bytes) != 0) {
        std::memset(const_cast<char*>(at), kGuardByte, bytes);
        throw EmulationError(fmt::format("{}: memory {} an array of {} bytes was written", who, where, size));
      }
  }
#endif
}

}  // namespace lorikeet::cuda::emulation
