/// The card's part of core/tensor/away.h: pinned host memory and two streams for copies out and in.
#pragma once
#include <memory>

#include "core/tensor/device_memory.h"

namespace lorikeet::cuda {

std::unique_ptr<AwayBytes> send_away(const void* device, size_t bytes);

}  // namespace lorikeet::cuda
