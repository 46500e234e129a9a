// VDPBF16PS on registers: a lane takes two products of bf16 into one f32 sum.
#include <immintrin.h>

#include "tests/bench/peak_loops.h"

namespace lorikeet::bench {
namespace {

constexpr int kChains = 12, kLanes = 16;

float loop(long rounds) {
  volatile int bits = 0x3c003c00;  // two small bf16
  const __m512bh a = (__m512bh)_mm512_set1_epi32(bits), b = (__m512bh)_mm512_set1_epi32(bits + 1);
  __m512 sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = _mm512_set1_ps(static_cast<float>(i));
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) sum[i] = _mm512_dpbf16_ps(sum[i], a, b);
  }
  float total = 0;
  for (int i = 0; i < kChains; ++i) total += _mm512_cvtss_f32(sum[i]);
  return total;
}

}  // namespace

const PeakKernel kBf16Dot = {loop, 2.0 * 2 * kLanes * kChains};

}  // namespace lorikeet::bench
