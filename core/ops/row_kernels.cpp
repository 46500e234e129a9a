#include "core/ops/row_kernels.h"

namespace lorikeet {

const RowKernels& row_kernels(CpuLevel level) {
  switch (level) {
    case CpuLevel::avx512: return avx512::kRowKernels;
    case CpuLevel::avx2: return avx2::kRowKernels;
    case CpuLevel::scalar: break;
  }
  return scalar::kRowKernels;
}

}  // namespace lorikeet
