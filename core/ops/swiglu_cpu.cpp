#include <cmath>
#include <numbers>

#include "core/ops/cpu_twins.h"
#include "core/ops/row_kernels.h"

namespace lorikeet {
namespace {

constexpr int64_t kRows = 8;

uint16_t* bits(Tensor& t, int64_t r) { return t.bits16() + r * t.row_stride(); }
const uint16_t* bits(const Tensor& t, int64_t r) { return t.bits16() + r * t.row_stride(); }

// x, its activation's sigmoid and (1 + x (1 - sigmoid) inner'), see row_kernels.inl; in f64.
struct Gate64 {
  double sigmoid, slope;
  Gate64(GateActivation activation, double x) {
    constexpr double kFirst = 2 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi, kThird = kFirst * 0.044715;
    const bool gelu = activation == GateActivation::gelu_tanh;
    sigmoid = 1 / (1 + std::exp(gelu ? -x * (kFirst + kThird * x * x) : -x));
    slope = 1 + x * (1 - sigmoid) * (gelu ? kFirst + 3 * kThird * x * x : 1);
  }
};

}  // namespace

void swiglu_cpu(Context& cx, const SwigluArgs& a) {
  const RowKernels& k = row_kernels(cx.level());
  const bool gelu = a.activation == GateActivation::gelu_tanh;
  cx.pool().for_blocks(a.gate.rows(), kRows, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      if (a.gate.dtype() == DType::bf16) {
        (gelu ? k.gelu_mul_bf16 : k.silu_mul_bf16)(bits(a.gate, r), bits(a.up, r), bits(a.y, r), a.gate.width());
        continue;
      }
      if (a.gate.dtype() == DType::f32) {
        (gelu ? k.gelu_mul : k.silu_mul)(a.gate.row<float>(r), a.up.row<float>(r), a.y.row<float>(r), a.gate.width());
        continue;
      }
      const double *g = a.gate.row<double>(r), *u = a.up.row<double>(r);
      double* y = a.y.row<double>(r);
      for (int64_t i = 0; i < a.gate.width(); ++i) y[i] = g[i] * Gate64(a.activation, g[i]).sigmoid * u[i];
    }
  });
}

void swiglu_backward_cpu(Context& cx, const SwigluBackwardArgs& a) {
  const RowKernels& k = row_kernels(cx.level());
  const bool gelu = a.activation == GateActivation::gelu_tanh;
  cx.pool().for_blocks(a.gate.rows(), kRows, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      if (a.gate.dtype() == DType::bf16) {
        (gelu ? k.gelu_mul_backward_bf16 : k.silu_mul_backward_bf16)(bits(a.dy, r), bits(a.gate, r), bits(a.up, r), bits(a.d_gate, r), bits(a.d_up, r), a.gate.width());
        continue;
      }
      if (a.gate.dtype() == DType::f32) {
        (gelu ? k.gelu_mul_backward : k.silu_mul_backward)(a.dy.row<float>(r), a.gate.row<float>(r), a.up.row<float>(r), a.d_gate.row<float>(r), a.d_up.row<float>(r), a.gate.width());
        continue;
      }
      const double *dy = a.dy.row<double>(r), *g = a.gate.row<double>(r), *u = a.up.row<double>(r);
      double *dg = a.d_gate.row<double>(r), *du = a.d_up.row<double>(r);
      for (int64_t i = 0; i < a.gate.width(); ++i) {
        const Gate64 gate(a.activation, g[i]);
        const double d = dy[i] * gate.sigmoid, x = g[i];
        dg[i] = d * u[i] * gate.slope;
        du[i] = d * x;
      }
    }
  });
}

}  // namespace lorikeet
