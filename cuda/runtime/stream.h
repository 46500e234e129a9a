/// A queue of GPU work, owned by exactly one object; its handle goes into Context::stream.
#pragma once
#include <utility>

namespace lorikeet::cuda {

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

}  // namespace lorikeet::cuda
