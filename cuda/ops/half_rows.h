/// The 16-bit types of rows, chosen by a tensor's type.
#pragma once
#include "core/tensor/dtype.h"
#include "cuda/device/number.cuh"

namespace lorikeet::cuda {

/// f(Half{}) for f16, else f(Bf16{}): for rows that are known to be one of the two.
template <class F>
decltype(auto) by_half_row(DType type, const F& f) { return type == DType::f16 ? f(Half{}) : f(Bf16{}); }

}  // namespace lorikeet::cuda
