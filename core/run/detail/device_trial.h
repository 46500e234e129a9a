/// Before a device is trusted with a run: its kernels on small cases against f64 on the host.
#pragma once
#include "core/tensor/dtype.h"

namespace lorikeet::detail {

/// On the card that the thread works with; once for each card in the life of the program, a few milliseconds. Throws RunError with the errors seen, or what the device throws.
void try_device(DeviceType device);

}  // namespace lorikeet::detail
