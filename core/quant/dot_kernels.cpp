// Chooses the dot kernels of a CPU level.
#include "core/quant/dot_kernels.h"

#include "core/quant/decode_kernels.h"
#include "core/tensor/cpu_level.h"

namespace lorikeet {

static_assert(kDotTypeIds == kStoredTypeIds);

const DotKernels* dot_kernels(CpuLevel level) {
#if defined(__x86_64__)
  if (level >= CpuLevel::avx512) return &avx512_level::kDotKernels;
  if (level == CpuLevel::avx2) return &avx2_level::kDotKernels;
#endif
  (void)level;
  return nullptr;
}

}  // namespace lorikeet
