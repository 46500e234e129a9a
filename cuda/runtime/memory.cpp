// Device memory, an arena for each card: chunks of the device, cut by RangeAllocator. A chunk is taken when no hole fits and stays until
// the device has no more and it is empty, so that a training step asks the driver for nothing after the first. What lasts
// and what steps take have chunks of their own; those of steps stay as long as there are recorded steps, which write there.
#include "cuda/runtime/memory.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "cuda/runtime/away.h"
#include "cuda/runtime/check.h"
#include "cuda/runtime/device.h"
#include "cuda/runtime/device_buffer.h"
#include "cuda/runtime/host_stage.h"
#include "cuda/runtime/per_card.h"
#include "cuda/runtime/range_allocator.h"
#include "cuda/runtime/recorded.h"
#include "cuda/runtime/stream.h"

namespace lorikeet::cuda {
namespace {

constexpr size_t kChunk = size_t{256} << 20;  // smallest piece asked of the device

thread_local Lifetime lifetime = Lifetime::lasting;

struct Chunk {
  DeviceBuffer memory;
  RangeAllocator ranges;
  Lifetime lifetime;
  Chunk(size_t bytes, Lifetime l) : memory(bytes), ranges(bytes), lifetime(l) {}
  char* base() const { return static_cast<char*>(memory.data()); }
};

class Arena {
 public:
  static Arena& instance() { return per_card<Arena>([] { return new Arena; }); }
  std::shared_ptr<void> allocate(size_t bytes) {
    const std::lock_guard lock(mutex_);
    auto [chunk, offset] = place(bytes);
    const size_t size = RangeAllocator::rounded(bytes);
    statistics_.live_bytes += size;
    note_peak(0);
    recorded_most_ = std::max(recorded_most_, statistics_.live_bytes);
    return {chunk->base() + offset, [this, chunk = chunk, offset = offset, size](void*) { free(chunk, offset, size); }};
  }
  DeviceStatistics statistics() {
    const std::lock_guard lock(mutex_);
    return statistics_;
  }
  void reset_peak() {
    const std::lock_guard lock(mutex_);
    statistics_.peak_bytes = statistics_.live_bytes;
  }
  void begin_recording() {
    const std::lock_guard lock(mutex_);
    recorded_from_ = recorded_most_ = statistics_.live_bytes;
  }
  uint64_t end_recording() {
    const std::lock_guard lock(mutex_);
    return recorded_most_ - recorded_from_;
  }
  std::shared_ptr<void> hold_steps() const { return recorded_steps_; }
  void step_repeated(uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    note_peak(bytes);
  }

 private:
  void note_peak(uint64_t more) { statistics_.peak_bytes = std::max(statistics_.peak_bytes, statistics_.live_bytes + more); }
  struct Place {
    Chunk* chunk;
    size_t offset;
  };
  Place place(size_t bytes) {
    for (const auto& chunk : chunks_)
      if (chunk->lifetime == lifetime)
        if (const auto offset = chunk->ranges.take(bytes)) return {chunk.get(), *offset};
    Chunk* chunk = grow(RangeAllocator::rounded(bytes));
    return {chunk, *chunk->ranges.take(bytes)};
  }
  /// A large chunk if the device has one, else one of just the size, else what stands empty is given back first.
  Chunk* grow(size_t size) {
    for (const size_t wanted : {std::max(size, kChunk), size}) try {
        return add(wanted);
      } catch (const OutOfMemoryError&) {
      }
    drop_empty();
    return add(size);
  }
  Chunk* add(size_t size) {
    chunks_.push_back(std::make_unique<Chunk>(size, lifetime));
    statistics_.reserved_bytes += size;
    return chunks_.back().get();
  }
  void drop_empty() {
    std::erase_if(chunks_, [&](const std::unique_ptr<Chunk>& c) {
      if (!c->ranges.empty() || (c->lifetime == Lifetime::step && recorded_steps_.use_count() > 1)) return false;
      statistics_.reserved_bytes -= c->memory.bytes();
      return true;
    });
  }
  void free(Chunk* chunk, size_t offset, size_t size) {
    const std::lock_guard lock(mutex_);
    chunk->ranges.give(offset);
    statistics_.live_bytes -= size;
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<Chunk>> chunks_;
  DeviceStatistics statistics_;
  std::shared_ptr<void> recorded_steps_ = std::make_shared<char>();  // each holds it
  uint64_t recorded_from_ = 0, recorded_most_ = 0;  // live bytes at the begin of a recording, and the most since
};

cudaStream_t stream() { return static_cast<cudaStream_t>(job_stream()); }

std::shared_ptr<void> allocate(size_t bytes) { return Arena::instance().allocate(bytes); }
void from_host(void* device, const void* host, size_t bytes) {
  not_while_recording("a copy from the host");
  device_from_host(device, host, bytes, job_stream());
}
void to_host(void* host, const void* device, size_t bytes) {
  not_while_recording("a copy to the host");
  host_from_device(host, device, bytes, job_stream());
}
void copy(void* to, const void* from, size_t bytes) { LORIKEET_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream())); }
void zero(void* data, size_t bytes) { LORIKEET_CUDA(cudaMemsetAsync(data, 0, bytes, stream())); }

Lifetime set_lifetime(Lifetime l) { return std::exchange(lifetime, l); }
DeviceStatistics statistics() { return Arena::instance().statistics(); }
uint64_t free_bytes() {
  (void)current_card();
  size_t left = 0, total = 0;
  LORIKEET_CUDA(cudaMemGetInfo(&left, &total));
  return left;
}
void reset_peak() { Arena::instance().reset_peak(); }
void synchronize() { LORIKEET_CUDA(cudaStreamSynchronize(stream())); }
bool fast_bf16() { return compute_capability() >= 80; }
std::string name() {
  cudaDeviceProp properties;
  LORIKEET_CUDA(cudaGetDeviceProperties(&properties, card_of_thread.wanted));  // starts nothing on it
  return properties.name;
}

}  // namespace

uint64_t idle_bytes(int card) {
  Arena* arena = PerCard<Arena>::all().find(card);
  if (!arena) return 0;
  const DeviceStatistics s = arena->statistics();
  return s.reserved_bytes - s.live_bytes;
}

const DeviceMemory& memory_functions() {
  static constexpr DeviceMemory functions{&allocate, &from_host, &to_host, &copy, &zero, &statistics, &reset_peak, &free_bytes, &synchronize, &name, &fast_bf16,
                                          &send_away, &host_stage, &set_lifetime, &record};
  return functions;
}

void begin_recorded_memory() { Arena::instance().begin_recording(); }
uint64_t end_recorded_memory() { return Arena::instance().end_recording(); }
std::shared_ptr<void> hold_step_memory() { return Arena::instance().hold_steps(); }
void step_memory_used_again(uint64_t bytes) { Arena::instance().step_repeated(bytes); }

}  // namespace lorikeet::cuda
