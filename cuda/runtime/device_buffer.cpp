// Device memory and copies.
#include "cuda/runtime/device_buffer.h"

#include "cuda/runtime/check.h"

namespace lorikeet::cuda {
namespace {

void copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, void* stream) {
  if (bytes > 0) LORIKEET_CUDA(cudaMemcpyAsync(to, from, bytes, kind, static_cast<cudaStream_t>(stream)));
}

}  // namespace

DeviceBuffer::DeviceBuffer(size_t bytes) : bytes_(bytes) {
  if (bytes > 0) LORIKEET_CUDA_MEMORY(cudaMalloc(&data_, bytes), bytes);
}

DeviceBuffer::~DeviceBuffer() {
  if (data_) cudaFree(data_);  // an error here belongs to earlier work and is reported by the next checked call
}

void device_from_host(void* device, const void* host, size_t bytes, void* stream) {
  copy(device, host, bytes, cudaMemcpyHostToDevice, stream);  // of pageable memory, which is read when the call returns
}
void host_from_device(void* host, const void* device, size_t bytes, void* stream) {
  copy(host, device, bytes, cudaMemcpyDeviceToHost, stream);
  LORIKEET_CUDA(cudaStreamSynchronize(static_cast<cudaStream_t>(stream)));
}

}  // namespace lorikeet::cuda
