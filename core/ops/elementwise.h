/// Small dense helpers: residual add, scaling, row gather and scatter.
#pragma once
#include "core/tensor/context.h"
#include "core/tensor/kernel_slot.h"

namespace lorikeet {
/// y = a + b; y may be a or b. Same shape and type, f32 | f64.
void add(Context& cx, const Tensor& a, const Tensor& b, Tensor& y);
/// y += s * x.
void add_scaled(Context& cx, Tensor& y, const Tensor& x, double s);
/// y[i] = x[rows[i]]; rows i32 [N]. On a device a row of -1 stands for none: zeros here, left out when scattered.
void gather_rows(Context& cx, const Tensor& x, const Tensor& rows, Tensor& y);
/// y = 0; y[rows[i]] = x[i]; rows are distinct.
void scatter_rows(Context& cx, const Tensor& x, const Tensor& rows, Tensor& y);
/// y = x rounded to the 16-bit type of y (f16 on a device only); x f32, both without gaps.
void round_values(Context& cx, const Tensor& x, Tensor& y);
struct ElementwiseKernels {
  void (*add)(Context&, const Tensor&, const Tensor&, Tensor&);
  void (*add_scaled)(Context&, Tensor&, const Tensor&, double);
  void (*gather_rows)(Context&, const Tensor&, const Tensor&, Tensor&);
  void (*scatter_rows)(Context&, const Tensor&, const Tensor&, Tensor&);
  void (*round_values)(Context&, const Tensor&, Tensor&);
};
using ElementwiseFn = const ElementwiseKernels*;
KernelSlot<ElementwiseFn>& elementwise_slot();
}  // namespace lorikeet
