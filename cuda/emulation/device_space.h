/// The emulated device's memory: a range of addresses that only kernels (and the copies and products that stand for a
/// library's kernels) may touch; the host is stopped by the system as it would be by a real card. What is allocated holds
/// NaN and has guards on both sides, read as NaN, whose loss is an error that names the kernel.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace lorikeet::cuda::emulation {

/// 256-byte aligned. Throws OutOfMemoryError over set_device_bytes().
std::shared_ptr<void> allocate_device(size_t bytes);
/// How much memory the emulated card has; 256 MiB unless set. 0 sets that again.
void set_device_bytes(size_t bytes);
uint64_t device_bytes_in_use();
uint64_t device_bytes();

/// 10 * major + minor; 80 unset. 0 sets that again.
void set_compute_capability(int capability);

/// From now on all work on the device fails with DeviceLostError, as it does on a card after a sticky error.
void set_lost(bool lost);

/// While one lives, device memory can be touched. Throws DeviceLostError.
class DeviceAccess {
 public:
  DeviceAccess();
  ~DeviceAccess();
  DeviceAccess(const DeviceAccess&) = delete;
  DeviceAccess& operator=(const DeviceAccess&) = delete;
};

/// Throws EmulationError when a guard was written over. Device memory must be accessible.
void check_guards(const std::string& who);

}  // namespace lorikeet::cuda::emulation
