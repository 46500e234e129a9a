/// Memory on the current GPU, owned by exactly one object. The only place that calls cudaMalloc and cudaFree.
#pragma once
#include <cstddef>
#include <utility>

namespace lorikeet::cuda {

class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  /// Contents undefined. Throws OutOfMemoryError with what was asked and what was free, or CudaError.
  explicit DeviceBuffer(size_t bytes);
  ~DeviceBuffer();
  DeviceBuffer(DeviceBuffer&& o) noexcept : data_(std::exchange(o.data_, nullptr)), bytes_(std::exchange(o.bytes_, 0)) {}
  DeviceBuffer& operator=(DeviceBuffer&& o) noexcept {
    std::swap(data_, o.data_);
    std::swap(bytes_, o.bytes_);
    return *this;
  }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

/// Copies between host and device, spelled out and in order with `stream` (a Stream handle, null for the default one).
/// To the device: returns when `host`, which is pageable memory, was read; the device is not waited for. From it: when the copy is done.
void device_from_host(void* device, const void* host, size_t bytes, void* stream = nullptr);
void host_from_device(void* host, const void* device, size_t bytes, void* stream = nullptr);

}  // namespace lorikeet::cuda
