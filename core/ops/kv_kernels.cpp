#include "core/ops/kv_kernels.h"

#include "core/tensor/cpu_level.h"

namespace lorikeet {

const KvKernelTable& kv_kernels(CpuLevel level) {
  switch (level) {
    case CpuLevel::amx:
    case CpuLevel::avx512: return avx512::kKvKernels;
    case CpuLevel::avx2: return avx2::kKvKernels;
    case CpuLevel::scalar: break;
  }
  return scalar::kKvKernels;
}

}  // namespace lorikeet
