// What GPUs there are. Device properties need no context, so asking costs no device memory.
#include <cuda_runtime_api.h>

#include <array>
#include <atomic>

#include "cuda/backend.h"
#include "cuda/runtime/check.h"
#include "cuda/runtime/device.h"
#include "cuda/runtime/per_card.h"

namespace lorikeet {
namespace {

constexpr int kOldestCapability = 75;  // nvcc 13 compiles for nothing older

std::string version_text(int v) { return std::to_string(v / 1000) + "." + std::to_string(v % 1000 / 10); }

/// Why cudaGetDeviceCount gave no device, in words for a person.
std::string reason_of(cudaError_t code, int driver_version, const std::string& runtime) {
  if (driver_version == 0) return "no NVIDIA driver was found";
  if (code == cudaErrorInsufficientDriver)
    return "the NVIDIA driver offers CUDA " + version_text(driver_version) + ", this program needs " + runtime +
           "; update the driver";
  if (code == cudaSuccess || code == cudaErrorNoDevice)
    return "the NVIDIA driver is there, but no GPU is visible (CUDA_VISIBLE_DEVICES may hide it)";
  return std::string("the GPUs could not be listed: ") + cudaGetErrorName(code) + ", " + cudaGetErrorString(code);
}

GpuInfo describe(int index) {
  GpuInfo g;
  g.index = index;
  cudaDeviceProp p;
  if (const cudaError_t code = cudaGetDeviceProperties(&p, index); code != cudaSuccess) {
    cudaGetLastError();
    g.name = "GPU " + std::to_string(index);
    g.reason = std::string(cudaGetErrorName(code)) + ", " + cudaGetErrorString(code);
    return g;
  }
  g.name = p.name;
  char bus[32] = {};
  if (cudaDeviceGetPCIBusId(bus, sizeof bus, index) == cudaSuccess) g.pci_bus_id = bus;
  else cudaGetLastError();
  g.major = p.major;
  g.minor = p.minor;
  g.total_bytes = p.totalGlobalMem;
  g.multiprocessors = p.multiProcessorCount;
  g.usable = 10 * p.major + p.minor >= kOldestCapability;
  if (!g.usable)
    g.reason = "compute capability " + std::to_string(p.major) + "." + std::to_string(p.minor) + "; 7.5 or newer is needed";
  return g;
}

}  // namespace

GpuList list_gpus() {
  GpuList list;
  int driver = 0, runtime = 0, count = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess) driver = 0;
  if (cudaRuntimeGetVersion(&runtime) == cudaSuccess) list.runtime = version_text(runtime);
  if (driver > 0) list.driver = version_text(driver);
  const cudaError_t code = cudaGetDeviceCount(&count);
  if (code != cudaSuccess) cudaGetLastError();
  if (code != cudaSuccess || count == 0) {
    list.reason = reason_of(code, driver, list.runtime);
    return list;
  }
  bool any_usable = false;
  for (int i = 0; i < count; ++i) {
    list.gpus.push_back(describe(i));
    any_usable = any_usable || list.gpus.back().usable;
  }
  if (!any_usable) list.reason = list.gpus.front().name + ": " + list.gpus.front().reason;
  return list;
}

namespace cuda {

int compute_capability() {
  static std::array<std::atomic<int>, kMostCards> known{};
  const int card = card_of_thread.wanted;
  std::atomic<int>& capability = known[static_cast<size_t>(card)];
  if (capability.load(std::memory_order_relaxed) == 0) {
    int major = 0, minor = 0;
    LORIKEET_CUDA(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, card));
    LORIKEET_CUDA(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, card));
    capability.store(10 * major + minor, std::memory_order_relaxed);
  }
  return capability.load(std::memory_order_relaxed);
}

}  // namespace cuda

uint64_t free_gpu_bytes(int index) {
  size_t free_bytes = 0, total_bytes = 0;
  LORIKEET_CUDA(cudaSetDevice(index));
  cuda::card_of_thread.set = index;  // the thread's own is set again when it works with it
  LORIKEET_CUDA(cudaMemGetInfo(&free_bytes, &total_bytes));
  return free_bytes;
}

}  // namespace lorikeet
