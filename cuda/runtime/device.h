/// What the device in use can do.
#pragma once

namespace lorikeet::cuda {

/// Its compute capability as 10 * major + minor: 75, 80, 90, ...
int compute_capability();

}  // namespace lorikeet::cuda
