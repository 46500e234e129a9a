// Chooses the decoders of a CPU level. Machines other than x86-64 have the scalar ones only.
#include "core/quant/decode_kernels.h"

#include "core/tensor/cpu_level.h"

namespace lorikeet {

const DecodeKernels& decode_kernels(CpuLevel level) {
#if defined(__x86_64__)
  if (level >= CpuLevel::avx512) return avx512_level::kDecodeKernels;
  if (level == CpuLevel::avx2) return avx2_level::kDecodeKernels;
#endif
  (void)level;
  return scalar_level::kDecodeKernels;
}

}  // namespace lorikeet
