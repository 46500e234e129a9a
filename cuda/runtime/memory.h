/// The device's memory for tensors: an arena over a few large allocations (memory.cpp), copies in order with all other work.
#pragma once
#include "core/tensor/device_memory.h"

namespace lorikeet::cuda {

/// Of the card in use (per_card.h).
const DeviceMemory& memory_functions();
/// What this process took from a card and does not use. Starts nothing on it.
uint64_t idle_bytes(int card);

// What recorded steps tell the arena.
void begin_recorded_memory();
/// The most that was allocated at once since then.
uint64_t end_recorded_memory();
/// Step memory stays where it is while the result lives.
std::shared_ptr<void> hold_step_memory();
/// A recorded step runs, which takes `bytes` without asking.
void step_memory_used_again(uint64_t bytes);

}  // namespace lorikeet::cuda
