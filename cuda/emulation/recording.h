/// Recorded work in the emulation: a list of what the device would have been given, with the memory it took in between. When
/// it runs again each piece of memory must be free: whatever else lies there by then would be lost on a card.
#pragma once
#include <functional>
#include <memory>

#include "core/tensor/device_memory.h"

namespace lorikeet::cuda::emulation {

/// True when this thread records: then `done` was noted and must not be done now.
bool recorded(const std::function<void()>& done);
bool recording();
/// Of this thread's allocations.
Lifetime lifetime();
Lifetime set_lifetime(Lifetime lifetime);
std::unique_ptr<RecordedWork> record(const std::function<void()>& work);
/// Throws UnsupportedError while this thread records.
void not_while_recording(const char* what);

}  // namespace lorikeet::cuda::emulation
