/// Rows of a weight as it is stored, decoded in registers and written as bf16 panels (core/ops/gemm_kernels.h) without a
/// decoded copy in memory: what products in bf16 read. The values are those of decode_kernels.h rounded to nearest even.
/// Only <cstdint> may be included here: see decode_kernels.h.
#pragma once
#include <cstdint>

namespace lorikeet {

struct CpuUnit;
enum class PanelColumns;

/// The rows to pack, whose width is a multiple of kDotSegment (dot_kernels.h); codes, scales, their shift and table as in DotRun.
struct PanelRun {
  const uint8_t* codes;
  int64_t row_bytes;
  const float* scales;
  const float* table;
  int64_t rows, columns;
  uint32_t* out;
  int64_t stride;  // steps between panels
  int64_t depth;   // steps of a panel to write; those behind the run's numbers become zero
  int scale_shift = 0;
};
struct PanelKernel {
  void (*rows)(const PanelRun&);     // rows of the weight are the columns of the panels, k = its columns
  void (*columns)(const PanelRun&);  // columns are columns, k = rows
};

constexpr int kPanelTypeIds = 31;  // as kStoredTypeIds
struct PanelKernels {
  PanelKernel codes2, codes3, codes4, codes8;  // layouts as in DecodeKernels
  PanelKernel stored[kPanelTypeIds];           // by ggml type id; null: decode instead
};
/// The table of a unit that multiplies bf16 panels; null for other units.
const PanelKernels* panel_kernels(const CpuUnit& unit);
/// Packs `run`, whose first row is row `first` (a multiple of 16) of the `count` that make up the panels at run.out.
void pack_part(const PanelKernel& kernel, PanelColumns wanted, PanelRun run, int64_t first, int64_t count);

namespace avx512_bf16_unit { extern const PanelKernels kPanelKernels; }

}  // namespace lorikeet
