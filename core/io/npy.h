/// NumPy .npy files, version 1.0, little-endian float32.
#pragma once
#include <string>

#include "core/tensor/tensor.h"

namespace lorikeet {
void write_npy(const std::string& path, const Tensor& f32);
}  // namespace lorikeet
