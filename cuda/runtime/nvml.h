/// What NVIDIA's management library tells about the GPUs of the machine, whoever uses them; opened when it is first asked.
/// Nothing here throws or starts a context: without driver or library there is a reason instead, and what a card or a
/// container does not tell is absent. Takes about a millisecond; not for the thread that draws.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lorikeet::cuda {

struct GpuState {
  std::string name;
  std::string pci_bus_id;  // "00000000:65:00.0"; the library's own order of GPUs need not be CUDA's
  std::optional<uint64_t> used_bytes, total_bytes;
  std::optional<int> busy_percent;  // share of the last moments in which a kernel ran
  std::optional<int> temperature_c;
  std::optional<double> power_w, power_limit_w;
};
struct GpuStates {
  std::vector<GpuState> gpus;
  std::string reason;  // why there is none, else empty
};
GpuStates gpu_states();
/// The GPU at a place as CUDA writes it (cudaDeviceGetPCIBusId: "0000:65:00.0").
std::optional<GpuState> gpu_state(const std::string& pci_bus_id);
/// Whether two such texts name one place: they differ in the digits of the domain and in case.
bool same_pci_bus(const std::string& a, const std::string& b);

}  // namespace lorikeet::cuda
