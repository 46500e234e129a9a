/// Copies beside the device's other work: pinned buffers, streams of their own for the two ways, events that order them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "cuda/runtime/check.h"
#include "cuda/runtime/stream.h"

namespace lorikeet::cuda {

class Event {
 public:
  Event() { LORIKEET_CUDA(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming)); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record(void* stream) { LORIKEET_CUDA(cudaEventRecord(event_, static_cast<cudaStream_t>(stream))); }
  /// What `stream` is given from now on comes after what was recorded.
  void hold(void* stream) const { LORIKEET_CUDA(cudaStreamWaitEvent(static_cast<cudaStream_t>(stream), event_, 0)); }
  void wait() const { LORIKEET_CUDA(cudaEventSynchronize(event_)); }

 private:
  cudaEvent_t event_ = nullptr;
};

/// Pinned buffers by size, each free again once the last copy with it is done. Kept for the next step, which asks for the
/// same sizes; together, for all cards, they may take two fifths of the machine's memory.
class Pinned {
 public:
  static Pinned& instance();
  /// Throws OutOfMemoryError (of the host).
  void* take(size_t bytes);
  void give(void* at, size_t bytes, std::shared_ptr<Event> last_copy);

 private:
  struct Buffer {
    void* at;
    std::shared_ptr<Event> last_copy;
  };
  std::mutex mutex_;
  std::map<size_t, std::deque<Buffer>> free_;
  uint64_t total_ = 0;
};

/// From the card in use and to it.
struct CopyStreams {
  Stream out, in;
  static CopyStreams& instance();
};

}  // namespace lorikeet::cuda
