/// Matrix products of the device: one thin interface over cuBLASLt (cublas_lt.cpp), with a twin of plain loops for the
/// emulation. Row-major; the layer above knows nothing of columns.
#pragma once
#include <cstdint>

#include "core/tensor/dtype.h"

namespace lorikeet::cuda {

struct MatmulArgs {
  int64_t m, n, k;
  const void* a;            // [m, k], or [k, m] when turned
  int64_t a_stride;         // numbers between rows as stored
  bool a_turned;
  const void* b;            // [k, n], or [n, k] when turned
  int64_t b_stride;
  bool b_turned;
  DType type;               // of a and b: bf16 | f16 | f32
  void* c;                  // [m, n]
  int64_t c_stride;
  DType c_type;             // f32, or the type of 16-bit a and b
  float alpha = 1;
  bool accumulate = false;  // c += alpha a b, else c = alpha a b
};
/// Sums in f32 in one order for the same shapes on the same card; 16-bit results are rounded once. Empty sums give zeros.
/// Throws CudaError, UnsupportedError (no library, or a type it does not know).
void matmul(const MatmulArgs& a);

}  // namespace lorikeet::cuda
