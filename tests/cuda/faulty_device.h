/// Faults of the emulated card.
#pragma once
#include "core/tensor/device_memory.h"
#include "cuda/emulation/device_space.h"

namespace lorikeet::test {

/// The card's memory is taken by someone else, but for what is in use.
struct FullDevice {
  void fill() const { cuda::emulation::set_device_bytes(static_cast<size_t>(cuda::emulation::device_bytes_in_use())); }
  void give_back() const { cuda::emulation::set_device_bytes(0); }
  ~FullDevice() { give_back(); }
};
/// A card of the generation before bf16.
struct OldDevice {
  OldDevice() { cuda::emulation::set_compute_capability(75); }
  ~OldDevice() { cuda::emulation::set_compute_capability(0); }
  OldDevice(const OldDevice&) = delete;
  OldDevice& operator=(const OldDevice&) = delete;
};
inline void lose_device() { cuda::emulation::set_lost(true); }
inline void find_device_again() { cuda::emulation::set_lost(false); }

}  // namespace lorikeet::test
