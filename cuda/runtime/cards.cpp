// Which card a thread works with, for the rest of the program (core/tensor/device_cards.h).
#include <optional>
#include <string>

#include "cuda/backend.h"
#include "cuda/runtime/check.h"
#include "cuda/runtime/device.h"
#include "cuda/runtime/memory.h"
#include "cuda/runtime/nvml.h"
#include "cuda/runtime/per_card.h"

namespace lorikeet::cuda {
namespace {

/// Asked once: the driver's list stays what it was when the process began.
const std::vector<GpuInfo>& gpus() {
  static const std::vector<GpuInfo> all = list_gpus().gpus;
  return all;
}

std::vector<DeviceCard> list() {
  std::vector<DeviceCard> out;
  for (const GpuInfo& g : gpus()) out.push_back({g.index, g.name, g.total_bytes, g.usable && g.index < kMostCards, g.reason});
  return out;
}

/// NVML tells it without a context on the card. A card it does not tell about is asked itself.
uint64_t room(int card) {
  const auto state = gpu_state(gpus().at(static_cast<size_t>(card)).pci_bus_id);
  const bool told = state && state->used_bytes && state->total_bytes && *state->used_bytes <= *state->total_bytes;
  return (told ? *state->total_bytes - *state->used_bytes : free_gpu_bytes(card)) + idle_bytes(card);
}

int in_use() { return card_of_thread.wanted; }

}  // namespace

void use_card(int card) {
  if (card < 0 || card >= kMostCards) throw UnsupportedError("card " + std::to_string(card) + ": numbers from 0 to " + std::to_string(kMostCards - 1) + " can be used");
  card_of_thread.wanted = card;
}

void set_card() {
  LORIKEET_CUDA(cudaSetDevice(card_of_thread.wanted));
  card_of_thread.set = card_of_thread.wanted;
}

const DeviceCards& card_functions() {
  static constexpr DeviceCards functions{&list, &room, &use_card, &in_use};
  return functions;
}

}  // namespace lorikeet::cuda
