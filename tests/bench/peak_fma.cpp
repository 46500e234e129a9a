// Twelve independent chains: enough to hide the latency of a multiply-add, few enough for sixteen registers.
#include "tests/bench/peak_fma.h"

#include <algorithm>

#include "core/base/system.h"

namespace lorikeet::bench {
namespace {

constexpr int kChains = 12;
constexpr long kSteps = 2000000;

// Written once, compiled per instruction set: the vectors never leave the function.
#define LORIKEET_PEAK(name, bytes, attribute)                                                     \
  attribute float name(float start) {                                                             \
    typedef float V __attribute__((vector_size(bytes)));                                          \
    V factor = V{} + (1 - start * 1e-9f), add = V{} + start, sum[kChains];                        \
    for (int i = 0; i < kChains; ++i) sum[i] = V{} + static_cast<float>(i);                       \
    for (long s = 0; s < kSteps; ++s) {                                                           \
      _Pragma("GCC unroll 12") for (int i = 0; i < kChains; ++i) sum[i] = sum[i] * factor + add;  \
    }                                                                                             \
    float total = 0;                                                                              \
    for (int i = 0; i < kChains; ++i) total += sum[i][0];                                         \
    return total;                                                                                 \
  }
LORIKEET_PEAK(peak_scalar, 16, )
LORIKEET_PEAK(peak_avx2, 32, __attribute__((target("avx2,fma"))))
LORIKEET_PEAK(peak_avx512, 64, __attribute__((target("avx512f,avx512vl,fma"))))
#undef LORIKEET_PEAK

}  // namespace

double peak_gflops(CpuLevel level) {
  volatile float start = 0.5f, sink = 0;
  double best = 1e30;
  for (int run = 0; run < 5; ++run) {
    const double begin = monotonic_seconds();
    sink = level >= CpuLevel::avx512 ? peak_avx512(start) : level == CpuLevel::avx2 ? peak_avx2(start) : peak_scalar(start);
    best = std::min(best, monotonic_seconds() - begin);
  }
  (void)sink;
  const double lanes = level >= CpuLevel::avx512 ? 16 : level == CpuLevel::avx2 ? 8 : 4;
  return 2.0 * lanes * kChains * static_cast<double>(kSteps) / best * 1e-9;
}

}  // namespace lorikeet::bench
