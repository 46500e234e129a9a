/// The device's memory for tensors: an arena over a few large allocations (memory.cpp), copies in order with all other work.
#pragma once
#include "core/tensor/device_memory.h"

namespace lorikeet::cuda {

const DeviceMemory& memory_functions();

}  // namespace lorikeet::cuda
