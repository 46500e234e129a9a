/// The hot loops over one row, once per CPU level: the same source (row_kernels.inl) compiled with that level's flags.
/// f32 only; ops in f64 use plain loops. Same level, same bits.
#pragma once
#include <cstdint>

#include "core/tensor/cpu_level.h"

namespace lorikeet {

/// Which elements of a row are dropped: those whose hash is below the threshold.
struct DropoutRow {
  uint32_t key[4];
  uint32_t threshold;
};
/// Sums of exponentials before and after rounding to bf16.
struct ExpSums {
  float exact, rounded;
};
/// Of one row of a layer norm: its mean, 1 / deviation, and the means of g = dy w and of g (x - mean) rstd.
struct LayerNormRow {
  float mean, rstd, gradient, pull;
};
struct RowKernels {
  float (*sum_of_squares)(const float* x, int64_t n);
  float (*dot)(const float* x, const float* y, int64_t n);
  float (*max)(const float* x, int64_t n);
  /// y = x * w * s
  void (*scale_mul)(const float* x, const float* w, float s, float* y, int64_t n);
  /// y = a + b; y may be one of them.
  void (*add)(const float* a, const float* b, float* y, int64_t n);
  /// y += s * x
  void (*axpy)(const float* x, float s, float* y, int64_t n);
  /// x = exp(x * scale - offset); returns the sum.
  float (*exp_sum)(float* x, float scale, float offset, int64_t n);
  /// y = silu(g) * u
  void (*silu_mul)(const float* g, const float* u, float* y, int64_t n);
  /// dg = dy u sig(g) (1 + g (1 - sig(g))), du = dy silu(g); outputs may be inputs.
  void (*silu_mul_backward)(const float* dy, const float* g, const float* u, float* dg, float* du, int64_t n);
  /// The same for GELU by tanh (gate_activation.h).
  void (*gelu_mul)(const float* g, const float* u, float* y, int64_t n);
  void (*gelu_mul_backward)(const float* dy, const float* g, const float* u, float* dg, float* du, int64_t n);
  /// dx = rstd * (dy * w - x * rstd * m) with m given (mean of dy * w * x * rstd).
  void (*rms_norm_dx)(const float* dy, const float* x, const float* w, float rstd, float m, float* dx, int64_t n);
  /// sum of a * b * c
  float (*dot3)(const float* a, const float* b, const float* c, int64_t n);
  /// Layer norm: sums of x - about, of its squares, and of a * b * (x - about); y = (x - mean) * rstd * w + b, b may be null;
  /// dx = rstd * (dy * w - gradient - (x - mean) * rstd * pull).
  float (*sum_about)(const float* x, float about, int64_t n);
  float (*squares_about)(const float* x, float about, int64_t n);
  float (*dot3_about)(const float* a, const float* b, const float* x, float about, int64_t n);
  void (*layer_norm)(const float* x, const float* w, const float* b, float mean, float rstd, float* y, int64_t n);
  void (*layer_norm_dx)(const float* dy, const float* x, const float* w, const LayerNormRow& row, float* dx, int64_t n);
  /// Half-split rotation of one head: (a, b) -> (a cos - b sin, b cos + a sin), n = D / 2.
  void (*rotate)(float* a, float* b, const float* cos, const float* sin, float sign, int64_t n);
  /// AdamW, see adamw_update.h.
  void (*adamw)(float* p, const float* g, float* m, float* v, float grad_scale, float decay, float one_minus_beta1, float beta2, float one_minus_beta2, float step_size,
                float root_correction, float eps, int64_t n);
  /// y = x * scale where kept, else 0; y may be x.
  void (*dropout)(const DropoutRow& d, const float* x, float scale, float* y, int64_t n);
  /// To bf16, nearest even, and back.
  void (*to_bf16)(const float* x, uint16_t* y, int64_t n);
  void (*from_bf16)(const uint16_t* x, float* y, int64_t n);
  /// The kernels above on rows of bf16: f32 inside, rounded once at the end.
  void (*scale_mul_bf16)(const float* x, const float* w, float s, uint16_t* y, int64_t n);
  void (*silu_mul_bf16)(const uint16_t* g, const uint16_t* u, uint16_t* y, int64_t n);
  void (*silu_mul_backward_bf16)(const uint16_t* dy, const uint16_t* g, const uint16_t* u, uint16_t* dg, uint16_t* du, int64_t n);
  void (*gelu_mul_bf16)(const uint16_t* g, const uint16_t* u, uint16_t* y, int64_t n);
  void (*gelu_mul_backward_bf16)(const uint16_t* dy, const uint16_t* g, const uint16_t* u, uint16_t* dg, uint16_t* du, int64_t n);
  /// p = exp(x * scale - offset) rounded.
  ExpSums (*exp_sum_bf16)(const float* x, float scale, float offset, uint16_t* p, int64_t n);
  /// y [columns, rows] = s x^T, x [rows, columns]; strides between rows.
  void (*turn)(const float* x, int64_t x_stride, int64_t rows, int64_t columns, float s, float* y, int64_t y_stride);
  float (*dot_bf16)(const uint16_t* x, const uint16_t* y, int64_t n);
  /// Softmax and its gradient: p = exp(x * scale - lse), ds = p (dp - delta). One lse and delta for the row, or, with
  /// step 1, one for each element.
  void (*score_gradient)(const float* x, const float* dp, float scale, const float* lse, const float* delta, int64_t step, uint16_t* p, uint16_t* ds, int64_t n);
};
const RowKernels& row_kernels(CpuLevel level);
/// The hash `dropout` uses: a keyed 32-bit mix of the column by multiply and xor-shift.
uint32_t dropout_hash(const DropoutRow& d, uint32_t column);
namespace scalar { extern const RowKernels kRowKernels; }
namespace avx2 { extern const RowKernels kRowKernels; }
namespace avx512 { extern const RowKernels kRowKernels; }
namespace avx512_bf16 { extern const RowKernels kRowKernels; }

}  // namespace lorikeet
