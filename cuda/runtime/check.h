/// LORIKEET_CUDA(call): every call of the CUDA runtime goes through it. A failure throws, it never ends the program.
#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>
#include <string>

#include "core/base/error.h"

namespace lorikeet::cuda {

/// A call of the CUDA runtime failed (exit 1). The message has the call, CUDA's own text, file and line.
struct CudaError : Error {
  CudaError(cudaError_t c, const std::string& message) : Error("cuda", kExitFailed, message), code(c) {}
  cudaError_t code;
};

/// Whether an error of this kind ends the device's context.
bool loses_the_device(cudaError_t code);
/// Throws DeviceLostError, OutOfMemoryError when the device ran out of memory (`asked` bytes; 0 when unknown), else CudaError.
[[noreturn]] void throw_cuda_error(cudaError_t code, const char* call, const char* file, int line, uint64_t asked = 0);

/// After the start of a kernel: throws CudaError naming it.
inline void check_launch(const char* kernel) {
  if (const cudaError_t code = cudaGetLastError(); code != cudaSuccess) throw_cuda_error(code, kernel, "kernel", 0);
}

}  // namespace lorikeet::cuda

#define LORIKEET_CUDA(call)                                                                         \
  do {                                                                                              \
    if (const cudaError_t code_ = (call); code_ != cudaSuccess)                                     \
      ::lorikeet::cuda::throw_cuda_error(code_, #call, __FILE__, __LINE__);                         \
  } while (false)

/// The same for a call that asks for `bytes` of device memory.
#define LORIKEET_CUDA_MEMORY(call, bytes)                                                           \
  do {                                                                                              \
    if (const cudaError_t code_ = (call); code_ != cudaSuccess)                                     \
      ::lorikeet::cuda::throw_cuda_error(code_, #call, __FILE__, __LINE__, (bytes));                \
  } while (false)
