/// Streams, and the one all work of a job is ordered in.
#pragma once
#include <utility>

namespace lorikeet::cuda {

/// A queue of GPU work, owned by exactly one object.
class Stream {
 public:
  /// Throws CudaError.
  Stream();
  ~Stream();
  Stream(Stream&& o) noexcept : handle_(std::exchange(o.handle_, nullptr)) {}
  Stream& operator=(Stream&& o) noexcept {
    std::swap(handle_, o.handle_);
    return *this;
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  void* handle() const { return handle_; }
  /// Waits until all work given so far is done; throws CudaError if any of it failed.
  void synchronize() const;

 private:
  void* handle_ = nullptr;  // cudaStream_t
};

/// While one lives, what this thread gives to job_stream() goes to another stream: recorded work, which other threads' work
/// must not become a part of.
class StreamInstead {
 public:
  explicit StreamInstead(const Stream& stream);
  ~StreamInstead();
  StreamInstead(const StreamInstead&) = delete;
  StreamInstead& operator=(const StreamInstead&) = delete;
};

/// The stream (cudaStream_t) of kernels, products and copies of the card in use, made at the first call. Because a card has
/// one, memory that is given back may be handed out again at once.
void* job_stream();

}  // namespace lorikeet::cuda
