/// The device's memory for tensors: an arena over a few large allocations (memory.cpp), copies in order with all other work.
#pragma once
#include "core/tensor/device_memory.h"

namespace lorikeet::cuda {

const DeviceMemory& memory_functions();

// What recorded steps tell the arena.
void begin_recorded_memory();
/// The most that was allocated at once since then.
uint64_t end_recorded_memory();
/// One more recorded step (or, with -1, one less) writes to step memory.
void hold_step_memory(int more);
/// A recorded step runs, which takes `bytes` without asking.
void step_memory_used_again(uint64_t bytes);

}  // namespace lorikeet::cuda
