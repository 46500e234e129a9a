/// The inner part of gemm, one table per unit: blocks are copied into the unit's own layout, then multiplied from there.
/// Layout: `a` [m][depth] row-major, `b` in panels of 16 columns [n / 16][depth][16], the last one filled up with zeros;
/// a step of depth is one f32 or, for bf16 units, a pair of bf16 of neighbouring k (an odd last one is paired with 0).
/// The panel layout is the one AMX tiles and VDPBF16PS both read.
/// Only <cstdint> may be included here: the level files are compiled with other instruction sets (quant/decode_kernels.h).
#pragma once
#include <cstdint>

namespace lorikeet {

constexpr int64_t kPanelColumns = 16;

/// An operand where it lies: element (row, k) at data[row * row_stride + k * k_stride]; one of the strides is 1.
struct GemmOperand {
  const float* data;
  int64_t row_stride, k_stride;
};
/// The same with numbers that are bf16 already.
struct Bf16Operand {
  const uint16_t* data;
  int64_t row_stride, k_stride;
};
/// c [m, n] = a b, or += when `accumulate`, over `depth` steps of k. Rows of a lie a_stride steps apart (as packed:
/// depth), panels of b 16 * b_stride steps.
struct GemmBlock {
  const void* a;
  int64_t a_stride;
  const void* b;
  int64_t b_stride;
  float* c;
  int64_t c_stride, m, n, depth;
  bool accumulate;
};
struct GemmKernels {
  int64_t tile_rows;    // rows computed at once: blocks of a multiple of it waste nothing
  int64_t row_unit;     // rows of a are read up to the next multiple of it, whatever stands there
  int64_t pair;         // numbers k per step of depth: 1 or 2
  int64_t depth_unit;   // packed depth is a multiple of it, filled up with zeros
  int64_t block_depth;  // steps in a block, so that a tile's operands stay in the L1 cache; a multiple of depth_unit
  /// Rows [0, rows) of `a` times alpha.
  void (*pack_a)(const GemmOperand& a, int64_t rows, int64_t k, float alpha, void* out);
  /// Rows of the operand, times alpha, are the columns of b; panels are written out_stride * 16 steps apart.
  void (*pack_b)(const GemmOperand& b, int64_t columns, int64_t k, float alpha, void* out, int64_t out_stride);
  /// The same from bf16; null for units that multiply f32.
  void (*pack_b16)(const Bf16Operand& b, int64_t columns, int64_t k, void* out, int64_t out_stride);
  void (*multiply)(const GemmBlock&);
};

namespace avx2 { extern const GemmKernels kGemmKernels; }
namespace avx512 { extern const GemmKernels kGemmKernels; }
/// Operands rounded to bf16 (nearest even), products by VDPBF16PS, sums in f32.
namespace avx512_bf16 { extern const GemmKernels kGemmKernels; }

/// The same rounding, products of 16 x 16 tiles.
namespace amx { extern const GemmKernels kGemmKernels; }

}  // namespace lorikeet
