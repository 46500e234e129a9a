/// cuBLASLt, opened when the first product is asked for: the program starts without it, and takes the one of the machine.
#pragma once
#include <cublasLt.h>

namespace lorikeet::cuda {

struct CublasLt {
  size_t version;  // 130001 is 13.0.1
  decltype(&::cublasLtCreate) create;
  decltype(&::cublasLtGetStatusName) status_name;
  decltype(&::cublasLtMatmulDescCreate) desc_create;
  decltype(&::cublasLtMatmulDescDestroy) desc_destroy;
  decltype(&::cublasLtMatmulDescSetAttribute) desc_set;
  decltype(&::cublasLtMatrixLayoutCreate) layout_create;
  decltype(&::cublasLtMatrixLayoutDestroy) layout_destroy;
  decltype(&::cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&::cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&::cublasLtMatmulPreferenceSetAttribute) preference_set;
  decltype(&::cublasLtMatmulAlgoGetHeuristic) heuristics;
  decltype(&::cublasLtMatmul) matmul;
};
/// Throws UnsupportedError that says where it was looked for, or which version was found. Looks again after a failure.
const CublasLt& cublas_lt();

}  // namespace lorikeet::cuda
