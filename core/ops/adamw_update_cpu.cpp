#include <algorithm>
#include <cmath>

#include "core/ops/cpu_twins.h"
#include "core/ops/row_kernels.h"

namespace lorikeet {
namespace {

constexpr int64_t kBlock = 1 << 14;

struct Constants {
  double decay, step_size, root_correction;
};

void update_f64(const AdamwUpdateArgs& a, const Constants& c, int64_t begin, int64_t end) {
  double *p = a.p.data<double>(), *m = a.m.data<double>(), *v = a.v.data<double>();
  const double* g = a.g.data<double>();
  for (int64_t i = begin; i < end; ++i) {
    const double gradient = g[i] * a.grad_scale;
    m[i] += (gradient - m[i]) * (1 - a.beta1);
    v[i] = v[i] * a.beta2 + (1 - a.beta2) * gradient * gradient;
    p[i] = p[i] * c.decay - c.step_size * (m[i] / (std::sqrt(v[i]) / c.root_correction + a.eps));
  }
}

}  // namespace

void adamw_update_cpu(Context& cx, const AdamwUpdateArgs& a) {
  const RowKernels& k = row_kernels(cx.level());
  const auto t = static_cast<double>(a.step);
  const Constants c = {1 - a.learning_rate * a.weight_decay, a.learning_rate / (1 - std::pow(a.beta1, t)), std::sqrt(1 - std::pow(a.beta2, t))};
  cx.pool().for_blocks(a.p.size(), kBlock, [&](int64_t begin, int64_t end, int) {
    if (a.p.dtype() == DType::f64) return update_f64(a, c, begin, end);
    k.adamw(a.p.data<float>() + begin, a.g.data<float>() + begin, a.m.data<float>() + begin, a.v.data<float>() + begin, static_cast<float>(a.grad_scale),
            static_cast<float>(c.decay), static_cast<float>(1 - a.beta1), static_cast<float>(a.beta2), static_cast<float>(1 - a.beta2),
            static_cast<float>(c.step_size), static_cast<float>(c.root_correction), static_cast<float>(a.eps), end - begin);
  });
}

}  // namespace lorikeet
