/// Few rows of activations times a weight as it is stored: the codes are decoded in registers, 32 elements of a row at a
/// time, and multiplied there. One table of functions per CPU level; decoded values have the bits decode_kernels.h
/// gives, sums are f32 fused multiply-adds in an order that depends on the width alone.
/// Only <cstdint> may be included here: see decode_kernels.h.
#pragma once
#include <cstdint>

namespace lorikeet {

enum class CpuLevel;

constexpr int64_t kDotSegment = 32;  // elements decoded at a time; the width of a weight is a multiple of it

/// y[t * y_stride + r] = sum over k of x[t * x_stride + k] * w[r][k], r = 0..rows-1, t = 0..tokens-1.
struct DotRun {
  const uint8_t* codes;  // of row 0
  int64_t row_bytes;
  const float* scales;   // coded formats only: [rows][columns / 32 / 2^scale_shift]; Q4_1 may keep its own here on the way
  const float* table;    // [16], 2- to 4-bit codes only; Q4_1 on the way: minima, like scales
  int64_t rows, columns;
  const float* x;
  int64_t x_stride, tokens;
  float* y;
  int64_t y_stride;
  int scale_shift = 0;   // 2^scale_shift segments share a scale
};
using DotKernel = void (*)(const DotRun&);

constexpr int kDotTypeIds = 31;  // as kStoredTypeIds
struct DotKernels {
  DotKernel codes2, codes3, codes4, codes8;  // layouts as in DecodeKernels
  DotKernel stored[kDotTypeIds];             // by ggml type id; null: decode instead
};
/// The table of a level; null for levels without one (scalar).
const DotKernels* dot_kernels(CpuLevel level);

namespace avx2_level { extern const DotKernels kDotKernels; }
namespace avx512_level { extern const DotKernels kDotKernels; }

}  // namespace lorikeet
