/// The cards there are, and what the one in use can do.
#pragma once
#include "core/tensor/device_cards.h"

namespace lorikeet::cuda {

/// Its compute capability as 10 * major + minor: 75, 80, 90, ...
int compute_capability();
/// What core/tensor/device_cards.h asks.
const DeviceCards& card_functions();

}  // namespace lorikeet::cuda
