#include "core/tensor/device_cards.h"

#include <array>

namespace lorikeet {
namespace {

std::array<const DeviceCards*, kDeviceTypes> registered{};

}  // namespace

void set_device_cards(DeviceType device, const DeviceCards* cards) { registered[static_cast<size_t>(device)] = cards; }
const DeviceCards* device_cards(DeviceType device) { return registered[static_cast<size_t>(device)]; }

}  // namespace lorikeet
