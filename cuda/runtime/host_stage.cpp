// Order between the streams is made by events; the host waits for a batch on its way back alone, two batches later. Where no
// more memory may be pinned, plain memory does: copies with it wait, and are as right.
#include "cuda/runtime/host_stage.h"

#include <vector>

#include "core/base/error.h"
#include "cuda/runtime/memory.h"
#include "cuda/runtime/pinned.h"

namespace lorikeet::cuda {
namespace {

class Stage final : public HostStage {
 public:
  explicit Stage(size_t bytes) : bytes_(bytes), device_(memory_functions().allocate(bytes)) {
    try {
      host_ = Pinned::instance().take(bytes);
      pinned_ = true;
    } catch (const OutOfMemoryError&) {
      plain_.resize(bytes);
      host_ = plain_.data();
    }
    free_.record(job_stream());  // what had the device's memory before
  }
  /// What is under way must not touch memory that goes to others now.
  ~Stage() override {
    try {
      if (last_) last_->hold(job_stream());
      if (last_ && !pinned_) last_->wait();
    } catch (...) {  // the device is lost, and nothing is under way
    }
    if (pinned_) Pinned::instance().give(host_, bytes_, last_ ? last_ : sent_);
  }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  void* host() override { return host_; }
  void* device() override { return device_.get(); }
  void send(size_t bytes) override {
    sent_bytes_ = bytes;
    void* in = CopyStreams::instance().in.handle();
    free_.hold(in);
    fetched_->hold(in);
    LORIKEET_CUDA(cudaMemcpyAsync(device_.get(), host_, bytes, cudaMemcpyHostToDevice, static_cast<cudaStream_t>(in)));
    sent_->record(in);
    last_ = sent_;
  }
  void sent() override { sent_->hold(job_stream()); }
  void fetch() override {
    void* out = CopyStreams::instance().out.handle();
    updated_.record(job_stream());
    updated_.hold(out);
    LORIKEET_CUDA(cudaMemcpyAsync(host_, device_.get(), sent_bytes_, cudaMemcpyDeviceToHost, static_cast<cudaStream_t>(out)));
    fetched_->record(out);
    last_ = fetched_;
  }
  void fetched() override { fetched_->wait(); }

 private:
  size_t bytes_, sent_bytes_ = 0;
  std::shared_ptr<void> device_;
  void* host_ = nullptr;
  bool pinned_ = false;
  std::vector<char> plain_;
  Event free_, updated_;
  std::shared_ptr<Event> sent_ = std::make_shared<Event>(), fetched_ = std::make_shared<Event>(), last_;
};

}  // namespace

std::unique_ptr<HostStage> host_stage(size_t bytes) { return std::make_unique<Stage>(bytes); }

}  // namespace lorikeet::cuda
