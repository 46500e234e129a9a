/// The card's part of HostStage (core/tensor/device_memory.h): pinned host memory and the two streams for copies.
#pragma once
#include <memory>

#include "core/tensor/device_memory.h"

namespace lorikeet::cuda {

std::unique_ptr<HostStage> host_stage(size_t bytes);

}  // namespace lorikeet::cuda
