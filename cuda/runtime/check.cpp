// Turns a CUDA error code into one of our errors.
#include "cuda/runtime/check.h"

#include "core/base/text.h"

namespace lorikeet::cuda {
namespace {

[[noreturn]] void throw_out_of_memory(const std::string& message, uint64_t asked) {
  size_t free_bytes = 0, total_bytes = 0;
  const bool known = cudaMemGetInfo(&free_bytes, &total_bytes) == cudaSuccess;
  throw OutOfMemoryError("the GPU has too little free memory: " + (asked ? human_bytes(asked) + " asked, " : std::string()) +
                             (known ? human_bytes(free_bytes) + " of " + human_bytes(total_bytes) + " free" : std::string("free memory unknown")) + "; " + message,
                         asked, free_bytes);
}

}  // namespace

bool loses_the_device(cudaError_t code) {
  switch (code) {
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorIllegalInstruction:
    case cudaErrorInvalidPc:
    case cudaErrorHardwareStackError:
    case cudaErrorAssert:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContained:
    case cudaErrorExternalDevice:
    case cudaErrorContextIsDestroyed:
    case cudaErrorDevicesUnavailable:
    case cudaErrorMpsClientTerminated: return true;
    default: return false;
  }
}

void throw_cuda_error(cudaError_t code, const char* call, const char* file, int line, uint64_t asked) {
  cudaGetLastError();  // a failure that does not stick must not be reported again by the next launch check
  const std::string message = std::string(call) + ": " + cudaGetErrorName(code) + ", " + cudaGetErrorString(code) + " (" + file +
                              ":" + std::to_string(line) + ")";
  if (code == cudaErrorMemoryAllocation) throw_out_of_memory(message, asked);
  if (loses_the_device(code))
    throw DeviceLostError("the GPU was lost: " + message + "\nThe run stopped at its last checkpoint; start the program again to resume it from there, or go on with --device cpu");
  throw CudaError(code, message);
}

}  // namespace lorikeet::cuda
