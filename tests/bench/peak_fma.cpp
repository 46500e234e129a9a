// Twelve independent chains: enough to hide the latency of a multiply-add, few enough for sixteen registers.
#include "tests/bench/peak_loops.h"

namespace lorikeet::bench {
namespace {

constexpr int kChains = 12;

// Written once, compiled per instruction set: the vectors never leave the function. The factor is just under one, and
// not a constant, so that nothing is folded and the sums stay finite.
#define LORIKEET_PEAK(name, bytes, attribute)                                                     \
  attribute float name(long rounds) {                                                             \
    typedef float V __attribute__((vector_size(bytes)));                                          \
    volatile float start = 0.5f;                                                                  \
    V factor = V{} + (1 - start * 1e-9f), add = V{} + start, sum[kChains];                        \
    for (int i = 0; i < kChains; ++i) sum[i] = V{} + static_cast<float>(i);                       \
    for (long r = 0; r < rounds; ++r) {                                                           \
      _Pragma("GCC unroll 12") for (int i = 0; i < kChains; ++i) sum[i] = sum[i] * factor + add;  \
    }                                                                                             \
    float total = 0;                                                                              \
    for (int i = 0; i < kChains; ++i) total += sum[i][0];                                         \
    return total;                                                                                 \
  }
LORIKEET_PEAK(scalar_loop, 16, )
LORIKEET_PEAK(avx2_loop, 32, __attribute__((target("avx2,fma"))))
LORIKEET_PEAK(avx512_loop, 64, __attribute__((target("avx512f,avx512vl,fma"))))
#undef LORIKEET_PEAK

}  // namespace

const PeakKernel kScalarFma = {scalar_loop, 2.0 * 4 * kChains};
const PeakKernel kAvx2Fma = {avx2_loop, 2.0 * 8 * kChains};
const PeakKernel kAvx512Fma = {avx512_loop, 2.0 * 16 * kChains};

}  // namespace lorikeet::bench
