/// The device's memory for tensors: an arena over a few large allocations (memory.cpp), copies in order with all other work.
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/tensor/device_memory.h"

namespace lorikeet::cuda {

const DeviceMemory& memory_functions();

struct DeviceStatistics {
  uint64_t live_bytes = 0;      // handed out
  uint64_t peak_bytes = 0;      // largest live_bytes since reset_device_peak()
  uint64_t reserved_bytes = 0;  // taken from the device
};
DeviceStatistics device_statistics();
void reset_device_peak();
/// Gives what is not in use back to the device.
void trim_device_memory();
/// Waits until all work given to the device is done.
void synchronize();

}  // namespace lorikeet::cuda
