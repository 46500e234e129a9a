// The build with CUDA: its kernels are registered when a GPU can be used.
#include <algorithm>

#include "app/backends.h"
#include "core/ops/cpu_kernels.h"
#include "cuda/backend.h"
#include "cuda/runtime/nvml.h"

namespace lorikeet {

void register_backends() {
  register_cpu_kernels();
  const GpuList list = list_gpus();
  if (std::any_of(list.gpus.begin(), list.gpus.end(), [](const GpuInfo& g) { return g.usable; })) register_cuda_kernels();
}

namespace {

/// What the card does at this moment, as far as the driver tells.
void add_state(Json& j, const GpuInfo& g) {
  const auto state = cuda::gpu_state(g.pci_bus_id);
  if (!state) return;
  if (state->used_bytes) j["used_bytes"] = *state->used_bytes;
  if (state->busy_percent) j["busy_percent"] = *state->busy_percent;
  if (state->temperature_c) j["temperature_c"] = *state->temperature_c;
  if (state->power_w) j["power_w"] = *state->power_w;
}

}  // namespace

Json gpu_information() {
  const GpuList list = list_gpus();
  Json gpus = Json::array();
  for (const GpuInfo& g : list.gpus) {
    Json j = {{"index", g.index},
              {"name", g.name},
              {"capability", std::to_string(g.major) + "." + std::to_string(g.minor)},
              {"bytes", g.total_bytes},
              {"multiprocessors", g.multiprocessors},
              {"usable", g.usable}};
    if (!g.reason.empty()) j["reason"] = g.reason;
    add_state(j, g);
    gpus.push_back(std::move(j));
  }
  Json out = {{"gpus", std::move(gpus)}, {"reason", list.reason}};
  if (!list.driver.empty()) out["driver"] = list.driver;
  return out;
}

}  // namespace lorikeet
