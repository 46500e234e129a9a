// Device tensors: shape and type of a Tensor over a DeviceBuffer that lives as long as any copy of it.
#include "cuda/runtime/device_tensor.h"

#include <memory>

#include "core/base/error.h"
#include "cuda/runtime/device_buffer.h"

namespace lorikeet::cuda {

Tensor device_tensor(Shape shape, DType dtype) {
  const auto bytes = static_cast<size_t>(element_count(shape)) * dtype_bytes(dtype);
  auto buffer = std::make_shared<DeviceBuffer>(bytes);
  void* data = buffer->data();
  return Tensor::borrow(data, std::move(shape), dtype, std::move(buffer));
}

Tensor device_from_host(const Tensor& host, void* stream) {
  if (!host.contiguous()) throw ShapeError("device_from_host: a contiguous tensor is wanted, got " + to_string(host.shape()));
  Tensor t = device_tensor(host.shape(), host.dtype());
  device_from_host(t.raw(), host.raw(), host.bytes(), stream);
  return t;
}

Tensor host_from_device(const Tensor& device, void* stream) {
  if (!device.contiguous())
    throw ShapeError("host_from_device: a contiguous tensor is wanted, got " + to_string(device.shape()));
  Tensor t = Tensor::empty(device.shape(), device.dtype());
  host_from_device(t.raw(), device.raw(), device.bytes(), stream);
  return t;
}

}  // namespace lorikeet::cuda
