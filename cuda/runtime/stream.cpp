// Streams do not wait for the default stream: work is ordered by the stream it is given to and nothing else.
#include "cuda/runtime/stream.h"

#include "cuda/runtime/check.h"
#include "cuda/runtime/per_card.h"

namespace lorikeet::cuda {

Stream::Stream() {
  cudaStream_t s = nullptr;
  LORIKEET_CUDA(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
  handle_ = s;
}

Stream::~Stream() {
  if (handle_) cudaStreamDestroy(static_cast<cudaStream_t>(handle_));
}

namespace {
thread_local void* stream_instead = nullptr;
}  // namespace

StreamInstead::StreamInstead(const Stream& stream) { stream_instead = stream.handle(); }
StreamInstead::~StreamInstead() { stream_instead = nullptr; }

void* job_stream() {
  if (stream_instead) return stream_instead;
  return per_card<Stream>([] { return new Stream; }).handle();
}

void Stream::synchronize() const { LORIKEET_CUDA(cudaStreamSynchronize(static_cast<cudaStream_t>(handle_))); }

}  // namespace lorikeet::cuda
