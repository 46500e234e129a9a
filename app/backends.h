/// Which backends this program was built with: CMake compiles backends_cpu.cpp or backends_cuda.cpp.
#pragma once
#include "core/base/json.h"

namespace lorikeet {

/// Fills the kernel slots of every device present. Called once at start-up, before any thread.
void register_backends();
/// {"gpus": [...], "reason": why none can be used, or empty}.
Json gpu_information();
/// device_information() with the GPUs and why one was refused.
Json machine_information();

}  // namespace lorikeet
