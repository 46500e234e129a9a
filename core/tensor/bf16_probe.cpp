// Compiled with AVX-512 bf16 (CMakeLists.txt) and called only after the probe has found it. No standard library beyond
// the clock's C function: inline functions compiled with wide instructions must not reach the rest of the program.
#include "core/tensor/bf16_probe.h"

#include <immintrin.h>
#include <time.h>

namespace lorikeet {
namespace {

constexpr int kRounds = 5, kSteps = 4000, kSums = 12;

double now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

// The empty statement makes each sum a value the compiler must really compute.
double fma_ns() {
  __m512 sum[kSums];
  for (__m512& s : sum) s = _mm512_setzero_ps();
  const __m512 a = _mm512_set1_ps(1.0f), b = _mm512_set1_ps(0.5f);
  const double begin = now_ns();
  for (int i = 0; i < kSteps; ++i)
#pragma GCC unroll 12
    for (int j = 0; j < kSums; ++j) {
      sum[j] = _mm512_fmadd_ps(a, b, sum[j]);
      __asm__ volatile("" : "+v"(sum[j]));
    }
  return now_ns() - begin;
}

double dot_ns() {
  __m512 sum[kSums];
  for (__m512& s : sum) s = _mm512_setzero_ps();
  const __m512bh a = (__m512bh)_mm512_set1_epi32(0x3F803F80), b = (__m512bh)_mm512_set1_epi32(0x3F003F00);
  const double begin = now_ns();
  for (int i = 0; i < kSteps; ++i)
#pragma GCC unroll 12
    for (int j = 0; j < kSums; ++j) {
      sum[j] = _mm512_dpbf16_ps(sum[j], a, b);
      __asm__ volatile("" : "+v"(sum[j]));
    }
  return now_ns() - begin;
}

}  // namespace

double bf16_dot_gain() {
  double fma = 1e18, dot = 1e18;
  for (int r = 0; r < kRounds; ++r) {
    const double f = fma_ns(), d = dot_ns();
    fma = f < fma ? f : fma;
    dot = d < dot ? d : dot;
  }
  return 2 * fma / dot;  // two products an element
}

}  // namespace lorikeet
