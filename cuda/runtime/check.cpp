// Turns a CUDA error code into one of our errors.
#include "cuda/runtime/check.h"

#include "core/base/text.h"

namespace lorikeet::cuda {

void throw_cuda_error(cudaError_t code, const char* call, const char* file, int line, uint64_t asked) {
  cudaGetLastError();  // a failure that does not stick must not be reported again by the next launch check
  std::string message = std::string(call) + ": " + cudaGetErrorName(code) + ", " + cudaGetErrorString(code) + " (" + file +
                        ":" + std::to_string(line) + ")";
  if (code != cudaErrorMemoryAllocation) throw CudaError(code, message);
  size_t free_bytes = 0, total_bytes = 0;
  const bool known = cudaMemGetInfo(&free_bytes, &total_bytes) == cudaSuccess;
  message = "the GPU has too little free memory: " + (asked ? human_bytes(asked) + " asked, " : std::string()) +
            (known ? human_bytes(free_bytes) + " of " + human_bytes(total_bytes) + " free" : std::string("free memory unknown")) +
            "; " + message;
  throw OutOfMemoryError(message, asked, free_bytes);
}

}  // namespace lorikeet::cuda
