/// Sum of the squares of all elements of several tensors, in f64, in a fixed order: the same bits for any number of threads.
#pragma once
#include <vector>

#include "core/tensor/context.h"
#include "core/tensor/kernel_slot.h"

namespace lorikeet {

struct SquareSumArgs {
  const std::vector<const Tensor*>& tensors;  // f32 | f64 each, without gaps between rows; of any shapes
  double* sum;                                // on the host, or null; 0 where there is nothing to add; waits for a device
  Tensor* total = nullptr;                    // f64 [1] on the context's device: the same
};
/// Throws ShapeError, DTypeError, UnsupportedError.
void square_sum(Context& cx, const SquareSumArgs& a);
using SquareSumFn = void (*)(Context&, const SquareSumArgs&);
KernelSlot<SquareSumFn>& square_sum_slot();

}  // namespace lorikeet
