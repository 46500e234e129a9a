/// launch(): how every kernel is started, in order with all other work of the program on the device.
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/base/error.h"
#if defined(__CUDACC__)
#include "cuda/runtime/check.h"
#include "cuda/runtime/stream.h"
#else
#include "cuda/emulation/block.h"
#endif

namespace lorikeet::cuda {

struct Grid {
  int64_t x = 1, y = 1, z = 1;  // x up to 2^31 - 1, y and z up to 65535
};
/// Blocks of `block` elements for `n`, at most `most`: kernels go on with the grid's stride.
inline int64_t blocks_for(int64_t n, int64_t block, int64_t most = int64_t{1} << 20) { return std::clamp<int64_t>((n + block - 1) / block, 1, most); }

constexpr size_t kPlainSharedBytes = 48u << 10;  // above it a kernel must be told

/// kernel<<<grid, threads, shared_bytes>>>(arguments...), whose start is checked. `name` is for messages.
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), Grid grid, int threads, size_t shared_bytes, Arguments... arguments) {
#if defined(__CUDACC__)
  const auto stream = static_cast<cudaStream_t>(job_stream());  // first: the rest is told to its card
  if (shared_bytes > kPlainSharedBytes)
    LORIKEET_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)));
  const dim3 blocks(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z));
  kernel<<<blocks, threads, shared_bytes, stream>>>(static_cast<Parameters>(arguments)...);
  check_launch(name);
#else
  emulation::run_grid({name, {static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z)}, {static_cast<unsigned>(threads), 1, 1}, shared_bytes},
                      [=] { kernel(static_cast<Parameters>(arguments)...); });
#endif
}

}  // namespace lorikeet::cuda
