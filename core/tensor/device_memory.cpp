#include "core/tensor/device_memory.h"

#include <array>
#include <string>

#include "core/base/error.h"

namespace lorikeet {
namespace {

std::array<const DeviceMemory*, kDeviceTypes> registered{};

}  // namespace

void set_device_memory(DeviceType device, const DeviceMemory* memory) { registered[static_cast<size_t>(device)] = memory; }

bool has_device(DeviceType device) { return device == DeviceType::cpu || registered[static_cast<size_t>(device)] != nullptr; }

const DeviceMemory& device_memory(DeviceType device) {
  if (const DeviceMemory* memory = registered[static_cast<size_t>(device)]) return *memory;
  throw UnsupportedError("there is no memory of device " + std::string(device_name(device)) + ": no such device was found, or this build has no backend for it");
}

LifetimeScope::LifetimeScope(DeviceType device, Lifetime lifetime) {
  if (device == DeviceType::cpu) return;
  memory_ = &device_memory(device);
  before_ = memory_->set_lifetime(lifetime);
}
LifetimeScope::~LifetimeScope() {
  if (memory_) memory_->set_lifetime(before_);
}

}  // namespace lorikeet
