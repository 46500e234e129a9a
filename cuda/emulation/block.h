/// A kernel's grid on the host. Blocks run one after another, threads of a block as fibers in an order drawn from a seed;
/// what the rules of CUDA leave open is made as hostile as it may be: shared memory starts as NaN, asynchronous copies are
/// made when they are waited for, threads run on until they must wait. What breaks the rules is an EmulationError that
/// names kernel, block and thread: a barrier that not all threads reach or reach at different places, lanes of a warp
/// that meet in different operations, shared memory that is read or written without a barrier in between.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>
#include <string>

#include "core/base/error.h"

namespace lorikeet::cuda::emulation {

struct EmulationError : Error {
  explicit EmulationError(const std::string& message) : Error("cuda", kExitFailed, message) {}
};

struct Index3 {
  unsigned x = 0, y = 0, z = 0;
};
struct Launch {
  const char* kernel;
  Index3 grid, block;
  size_t shared_bytes;
};
/// Runs body() once for each thread of each block. Device memory may be touched meanwhile, and by nobody else.
void run_grid(const Launch& launch, const std::function<void()>& body);
/// The order of threads and blocks of what runs next; 0, the default: as they are numbered. Also LORIKEET_EMULATION_SEED.
void set_seed(uint64_t seed);

// What a thread of a kernel asks.
using Place = std::source_location;
const Index3& thread_index();
const Index3& block_index();
const Index3& block_size();
const Index3& grid_size();
unsigned thread_rank();  // in its block
void barrier(Place place = Place::current());
void warp_barrier(unsigned mask, Place place = Place::current());
/// Hands `bytes` (at most kExchangeBytes) of each lane of `mask` to all of them: the result is [32][kExchangeBytes], valid
/// until the lane's second next exchange. `operation` must be the same for all lanes.
constexpr size_t kExchangeBytes = 32;
const char* exchange(unsigned mask, const void* mine, size_t bytes, const char* operation, Place place = Place::current());

/// Bytes [at, at + bytes) of the block's shared memory are read or written: EmulationError for a race or past the end.
void touch_shared(size_t at, size_t bytes, bool write);
/// The block's shared memory.
char* shared_memory();
size_t shared_memory_bytes();

/// 16 bytes that reach shared memory when their group is waited for, as late as allowed.
void copy_later(size_t shared_at, const void* from, size_t bytes);
void commit_copies();
void wait_copies(int groups_left);

[[noreturn]] void fail(const std::string& what);

}  // namespace lorikeet::cuda::emulation
