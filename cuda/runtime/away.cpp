// Bytes of the device in pinned memory. Order between the streams is made by events alone: the host waits for nothing.
// Pinned buffers are kept for the next step, which asks for the same sizes; together, for all cards, they may take two
// fifths of the machine's memory.
#include "cuda/runtime/away.h"

#include <deque>
#include <map>
#include <mutex>
#include <utility>

#include "core/base/error.h"
#include "core/base/system.h"
#include "core/base/text.h"
#include "cuda/runtime/check.h"
#include "cuda/runtime/per_card.h"
#include "cuda/runtime/recorded.h"
#include "cuda/runtime/stream.h"

namespace lorikeet::cuda {
namespace {

constexpr double kMostOfMachine = 0.4;

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

/// Pinned buffers by size, each free again once the last copy with it is done.
class Pinned {
 public:
  static Pinned& instance() {
    static Pinned* pinned = new Pinned;  // never destroyed: the driver may be gone by then
    return *pinned;
  }
  void* take(size_t bytes) {
    const std::lock_guard lock(mutex_);
    auto& free = free_[bytes];
    if (!free.empty()) {
      const Buffer b = std::move(free.front());
      free.pop_front();
      b.last_copy->wait();  // of a pass before, and done long ago
      return b.at;
    }
    const auto most = static_cast<uint64_t>(kMostOfMachine * static_cast<double>(total_memory_bytes()));
    if (total_ + bytes > most)
      throw OutOfMemoryError("offload: " + human_bytes(bytes) + " of pinned memory asked, " + human_bytes(total_) + " of at most " + human_bytes(most) + " in use", bytes, most - total_);
    void* at = nullptr;
    LORIKEET_CUDA(cudaMallocHost(&at, bytes));
    total_ += bytes;
    return at;
  }
  void give(void* at, size_t bytes, std::shared_ptr<Event> last_copy) {
    const std::lock_guard lock(mutex_);
    free_[bytes].push_back({at, std::move(last_copy)});
  }

 private:
  struct Buffer {
    void* at;
    std::shared_ptr<Event> last_copy;
  };
  std::mutex mutex_;
  std::map<size_t, std::deque<Buffer>> free_;
  uint64_t total_ = 0;
};

struct CopyStreams {
  Stream out, in;
  static CopyStreams& instance() { return per_card<CopyStreams>([] { return new CopyStreams; }); }
};

class Away final : public AwayBytes {
 public:
  Away(const void* source, size_t bytes) : bytes_(bytes), host_(Pinned::instance().take(bytes)) {
    CopyStreams& streams = CopyStreams::instance();
    made_.record(job_stream());
    made_.hold(streams.out.handle());
    LORIKEET_CUDA(cudaMemcpyAsync(host_, source, bytes, cudaMemcpyDeviceToHost, static_cast<cudaStream_t>(streams.out.handle())));
    sent_->record(streams.out.handle());
  }
  ~Away() override { Pinned::instance().give(host_, bytes_, coming_ ? brought_ : sent_); }
  void sent() override { sent_->hold(job_stream()); }
  void bring_back(void* device) override {
    CopyStreams& streams = CopyStreams::instance();
    free_.record(job_stream());
    free_.hold(streams.in.handle());
    sent_->hold(streams.in.handle());
    LORIKEET_CUDA(cudaMemcpyAsync(device, host_, bytes_, cudaMemcpyHostToDevice, static_cast<cudaStream_t>(streams.in.handle())));
    brought_->record(streams.in.handle());
    coming_ = true;
  }
  void brought() override { brought_->hold(job_stream()); }

 private:
  size_t bytes_;
  void* host_;
  Event made_, free_;
  std::shared_ptr<Event> sent_ = std::make_shared<Event>(), brought_ = std::make_shared<Event>();
  bool coming_ = false;
};

}  // namespace

std::unique_ptr<AwayBytes> send_away(const void* device, size_t bytes) {
  not_while_recording("a copy to the host");
  return std::make_unique<Away>(device, bytes);
}

}  // namespace lorikeet::cuda
