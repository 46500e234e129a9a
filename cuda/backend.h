/// The CUDA backend as the rest of the program sees it: what GPUs there are, and the list of its kernels.
/// No CUDA header is needed to include this file.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace lorikeet {

struct GpuInfo {
  int index = 0;
  std::string name;
  std::string pci_bus_id;       // "0000:65:00.0"
  int major = 0, minor = 0;     // compute capability
  uint64_t total_bytes = 0;     // memory of the device
  int multiprocessors = 0;
  bool usable = false;
  std::string reason;           // why not usable, else empty
};
struct GpuList {
  std::vector<GpuInfo> gpus;    // empty when there is none
  std::string reason;           // one sentence: why no GPU can be used, else empty
  std::string driver;           // newest CUDA version the driver offers, "13.0", or empty without a driver
  std::string runtime;          // CUDA version this program was built with
};
/// Looks for GPUs without starting a context on any. Never throws and never ends the program: no driver, an old driver,
/// or no device is an answer.
GpuList list_gpus();
/// Free bytes of a GPU. Starts a context on it, so it costs some memory and time. Throws CudaError.
uint64_t free_gpu_bytes(int index);

/// Fills the CUDA place of the slots of every op that has a twin here. Called once at start-up, before any thread, and
/// only when list_gpus() found a usable device.
void register_cuda_kernels();

}  // namespace lorikeet
