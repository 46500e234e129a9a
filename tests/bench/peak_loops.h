/// The loops behind the machine's peak: products in registers, no memory. Each unit's loop is a file of its own, compiled
/// with that unit's flags; so only plain types may be included here (core/ops/gemm_kernels.h).
#pragma once

namespace lorikeet::bench {

/// Runs `rounds` rounds; what comes back depends on all of them.
using PeakLoop = float (*)(long rounds);
struct PeakKernel {
  PeakLoop loop;
  double flops_per_round;
};
extern const PeakKernel kScalarFma, kAvx2Fma, kAvx512Fma;  // peak_fma.cpp
extern const PeakKernel kBf16Dot;                          // peak_bf16_dot.cpp: VDPBF16PS
extern const PeakKernel kAmxTiles;                         // peak_amx.cpp: TDPBF16PS on four tiles of sums

}  // namespace lorikeet::bench
