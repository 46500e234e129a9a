// The library's functions and structures are declared here, as its documentation gives them: its header is not part of
// every CUDA toolkit.
#include "cuda/runtime/nvml.h"

#include <dlfcn.h>

#include <cctype>
#include <cstring>
#include <utility>

namespace lorikeet::cuda {
namespace {

using Device = struct NvmlDevice*;
using Result = int;  // 0 is success
struct Memory {
  unsigned long long total, free, used;
};
struct Utilization {
  unsigned gpu, memory;
};
struct PciInfo {
  char old_bus_id[16];
  unsigned domain, bus, device, device_id, subsystem_id;
  char bus_id[32];
};
constexpr unsigned kTextBytes = 96;
constexpr int kCoreTemperature = 0;

struct Nvml {
  Result (*init)() = nullptr;
  const char* (*error_text)(Result) = nullptr;
  Result (*count)(unsigned*) = nullptr;
  Result (*by_index)(unsigned, Device*) = nullptr;
  Result (*name)(Device, char*, unsigned) = nullptr;
  Result (*pci)(Device, PciInfo*) = nullptr;
  Result (*memory)(Device, Memory*) = nullptr;
  Result (*utilization)(Device, Utilization*) = nullptr;
  Result (*temperature)(Device, int, unsigned*) = nullptr;
  Result (*power)(Device, unsigned*) = nullptr;        // milliwatts
  Result (*power_limit)(Device, unsigned*) = nullptr;
  std::string reason;
};

template <class F>
void find(void* library, const char* name, F& function) { function = reinterpret_cast<F>(dlsym(library, name)); }

Nvml open() {
  Nvml n;
  void* library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    n.reason = "no NVIDIA driver was found (libnvidia-ml.so.1)";
    return n;
  }
  find(library, "nvmlInit_v2", n.init);
  find(library, "nvmlErrorString", n.error_text);
  find(library, "nvmlDeviceGetCount_v2", n.count);
  find(library, "nvmlDeviceGetHandleByIndex_v2", n.by_index);
  find(library, "nvmlDeviceGetName", n.name);
  find(library, "nvmlDeviceGetPciInfo_v3", n.pci);
  find(library, "nvmlDeviceGetMemoryInfo", n.memory);
  find(library, "nvmlDeviceGetUtilizationRates", n.utilization);
  find(library, "nvmlDeviceGetTemperature", n.temperature);
  find(library, "nvmlDeviceGetPowerUsage", n.power);
  find(library, "nvmlDeviceGetEnforcedPowerLimit", n.power_limit);
  if (!n.init || !n.count || !n.by_index) {
    n.reason = "the NVIDIA driver's libnvidia-ml.so.1 is too old";
  } else if (const Result r = n.init(); r != 0) {
    n.reason = "the NVIDIA driver's libnvidia-ml.so.1 does not start: " + std::string(n.error_text ? n.error_text(r) : "error " + std::to_string(r));
  }
  return n;  // never shut down: others in the process may use it
}

const Nvml& nvml() {
  static const Nvml n = open();
  return n;
}

GpuState state_of(const Nvml& n, Device d) {
  GpuState s;
  char text[kTextBytes] = {};
  if (n.name && n.name(d, text, kTextBytes) == 0) s.name.assign(text, strnlen(text, kTextBytes));
  if (PciInfo p{}; n.pci && n.pci(d, &p) == 0) s.pci_bus_id.assign(p.bus_id, strnlen(p.bus_id, sizeof p.bus_id));
  if (Memory m{}; n.memory && n.memory(d, &m) == 0) {
    s.used_bytes = m.used;
    s.total_bytes = m.total;
  }
  if (Utilization u{}; n.utilization && n.utilization(d, &u) == 0) s.busy_percent = static_cast<int>(u.gpu);
  if (unsigned v = 0; n.temperature && n.temperature(d, kCoreTemperature, &v) == 0) s.temperature_c = static_cast<int>(v);
  if (unsigned v = 0; n.power && n.power(d, &v) == 0) s.power_w = v / 1000.0;
  if (unsigned v = 0; n.power_limit && n.power_limit(d, &v) == 0) s.power_limit_w = v / 1000.0;
  return s;
}

/// Lower case and without the zeros before the domain's digits.
std::string plain(const std::string& id) {
  std::string out;
  for (const char c : id)
    if (c != '0' || !out.empty()) out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

GpuStates gpu_states() {
  GpuStates all;
  const Nvml& n = nvml();
  all.reason = n.reason;
  if (!all.reason.empty()) return all;
  unsigned count = 0;
  if (n.count(&count) != 0 || count == 0) {
    all.reason = "the NVIDIA driver is there, but shows no GPU";
    return all;
  }
  for (unsigned i = 0; i < count; ++i)
    if (Device d = nullptr; n.by_index(i, &d) == 0) all.gpus.push_back(state_of(n, d));
  if (all.gpus.empty()) all.reason = "the NVIDIA driver lets this user see no GPU";
  return all;
}

std::optional<GpuState> gpu_state(const std::string& pci_bus_id) {
  for (GpuState& s : gpu_states().gpus)
    if (same_pci_bus(s.pci_bus_id, pci_bus_id)) return std::move(s);
  return std::nullopt;
}

bool same_pci_bus(const std::string& a, const std::string& b) { return !a.empty() && plain(a) == plain(b); }

}  // namespace lorikeet::cuda
