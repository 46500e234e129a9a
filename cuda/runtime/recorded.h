/// Recorded steps: CUDA graphs of what job_stream() is given.
#pragma once
#include <functional>
#include <memory>

#include "core/tensor/device_memory.h"

namespace lorikeet::cuda {

/// See DeviceMemory::record.
std::unique_ptr<RecordedWork> record(const std::function<void()>& work);
/// Throws UnsupportedError while this thread records: `what` cannot be part of it.
void not_while_recording(const char* what);

}  // namespace lorikeet::cuda
