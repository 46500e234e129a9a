/// The host memory all tensors come from: one reserved address range, best fit with coalescing, pages given back on
/// trim(). Counts live and peak bytes, so a plan can be compared with what was really used. Thread-safe.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

namespace lorikeet {

struct ArenaStatistics {
  uint64_t live_bytes = 0;  // handed out and not yet freed
  uint64_t peak_bytes = 0;  // largest live_bytes since reset_peak()
  uint64_t span_bytes = 0;  // touched part of the range (live + holes)
};
/// 64-byte aligned storage that frees itself. Throws OutOfMemoryError(asked, free) rather than letting the system
/// kill the program: a request over the memory available (or over the limit set) is refused.
std::shared_ptr<void> arena_allocate(size_t bytes);
ArenaStatistics arena_statistics();
void arena_reset_peak();
/// Returns unused pages to the system.
void arena_trim();
/// Upper bound on live bytes; 0 = only the machine's memory.
void arena_set_limit(uint64_t bytes);

}  // namespace lorikeet
