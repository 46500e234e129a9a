/// Tensors whose elements lie on the GPU.
/// Tensor has no way yet to be told its device, so these still say "cpu": reach a twin through its slot, and never
/// touch their data on the host. When Tensor::borrow takes a device, it is set in device_tensor.cpp and nowhere else.
#pragma once
#include "core/tensor/tensor.h"

namespace lorikeet::cuda {

/// Contents undefined. Throws OutOfMemoryError, CudaError.
Tensor device_tensor(Shape shape, DType dtype = DType::f32);
/// A contiguous copy on the device, in order with `stream`.
Tensor device_from_host(const Tensor& host, void* stream = nullptr);
/// A copy in host memory, in order with `stream`.
Tensor host_from_device(const Tensor& device, void* stream = nullptr);

}  // namespace lorikeet::cuda
