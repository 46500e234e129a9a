/// The device's memory for tensors: an arena over a few large allocations (memory.cpp), copies in order with all other work.
#pragma once
#include "core/tensor/device_memory.h"

namespace lorikeet::cuda {

/// Of the card in use (per_card.h).
const DeviceMemory& memory_functions();
/// What this process took from a card and does not use. Starts nothing on it.
uint64_t idle_bytes(int card);

}  // namespace lorikeet::cuda
