/// Few rows of activations against a stored weight, without a decoded copy of it: what generation needs.
#pragma once
#include "cuda/ops/decode.h"

namespace lorikeet::cuda {

constexpr int64_t kFewRows = 8;
/// y (+)= x W^T for up to kFewRows rows of bf16; y f32 or bf16. False when there is no such kernel for these tensors:
/// more rows, another type, a width that is not whole units, rows that are not 16-byte aligned, or plain bf16 rows, which a
/// product takes as they are. A token's result does not depend on how many stand beside it.
bool multiply_few(const DeviceWeight& w, const Tensor& x, Tensor& y, bool accumulate);

}  // namespace lorikeet::cuda
