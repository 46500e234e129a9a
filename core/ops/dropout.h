/// Inverted dropout whose mask is a function of (seed, row, column) alone: forward and backward draw the same mask and
/// store none. Each row's keys come from Philox, its columns from a cheap keyed hash (row_kernels.inl).
#pragma once
#include "core/base/random.h"
#include "core/ops/row_kernels.h"

namespace lorikeet::ops {

/// The mask of one row of the masked matrix.
inline DropoutRow dropout_row(double p, uint64_t seed, int64_t row) {
  const auto k = philox4x32(seed, 0, static_cast<uint64_t>(row));
  return {{k[0], k[1], k[2], k[3]}, static_cast<uint32_t>(p * 4294967296.0)};
}

/// y = x masked and scaled by 1 / (1 - p), 0 < p < 1; y may be x.
inline void drop_row(const RowKernels& k, const float* x, float* y, int64_t row, int64_t n, double p, uint64_t seed) {
  k.dropout(dropout_row(p, seed, row), x, static_cast<float>(1 / (1 - p)), y, n);
}
inline void drop_row(const RowKernels&, const double* x, double* y, int64_t row, int64_t n, double p, uint64_t seed) {
  const DropoutRow d = dropout_row(p, seed, row);
  const double scale = 1 / (1 - p);
  for (int64_t i = 0; i < n; ++i) y[i] = dropout_hash(d, static_cast<uint32_t>(i)) < d.threshold ? 0 : x[i] * scale;
}

}  // namespace lorikeet::ops
