// Chooses the panel kernels of a unit: the instructions that round and turn are AVX-512's for tiles too.
#include "core/quant/panel_kernels.h"

#include "core/ops/frozen_weight.h"
#include "core/quant/dot_kernels.h"
#include "core/tensor/cpu_level.h"

namespace lorikeet {

static_assert(kPanelTypeIds == kDotTypeIds);

const PanelKernels* panel_kernels(const CpuUnit& unit) {
#if defined(__x86_64__)
  if (unit.compute == ComputeType::bf16 && (unit.level == CpuLevel::amx || (unit.level == CpuLevel::avx512 && cpu_probe().bf16_dot)))
    return &avx512_bf16_unit::kPanelKernels;
#endif
  (void)unit;
  return nullptr;
}

void pack_part(const PanelKernel& kernel, PanelColumns wanted, PanelRun run, int64_t first, int64_t count) {
  constexpr int64_t kWords = 16;  // a step
  if (wanted == PanelColumns::rows) {
    run.out += first * run.stride;
    return kernel.rows(run);
  }
  const bool last = first + run.rows >= count;
  run.out += first / 2 * kWords;
  run.depth = last ? run.depth - first / 2 : run.rows / 2;
  kernel.columns(run);
}

}  // namespace lorikeet
