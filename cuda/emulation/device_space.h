/// The emulated devices' memory: for each card a range of addresses that only its kernels (and the copies and products that
/// stand for a library's kernels) may touch; the host is stopped by the system as it would be by a real card, and so is work
/// of another card. What is allocated holds NaN and has guards on both sides, read as NaN, whose loss is an error that names
/// the kernel. Everything here is of the card that the thread works with (runtime/per_card.h).
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
uint64_t device_bytes_peak();  // the most in use since reset_device_peak()
void reset_device_peak();
uint64_t device_bytes();

/// How many cards there are, one unless set. Not while any is worked with.
void set_device_count(int count);
int device_count();
/// A card that is listed, but as one too old.
void set_too_old(int card, bool too_old);
bool is_too_old(int card);
uint64_t device_bytes_in_use(int card);
uint64_t device_bytes(int card);
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

 private:
  int card_;
};

/// Throws EmulationError when an address is in the memory of a card that the thread does not work with.
void check_card(const void* address, const char* who);
/// Throws EmulationError when a guard was written over. Device memory must be accessible.
void check_guards(const std::string& who);

}  // namespace lorikeet::cuda::emulation
