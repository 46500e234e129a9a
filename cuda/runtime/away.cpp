// Bytes of the device in pinned memory. Order between the streams is made by events alone: the host waits for nothing.
#include "cuda/runtime/away.h"

#include "cuda/runtime/pinned.h"
#include "cuda/runtime/recorded.h"

namespace lorikeet::cuda {
namespace {

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
