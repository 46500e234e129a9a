#include <algorithm>
#include <cmath>

#include "core/ops/cpu_twins.h"
#include "core/ops/row_kernels.h"
#include "core/ops/tensor_list.h"

namespace lorikeet {
namespace {

constexpr int64_t kBlock = 1 << 14;

struct Constants {
  double decay, step_size, root_correction;
};

void update_f64(const AdamwUpdateArgs& a, const AdamwTensors& e, const Constants& c, int64_t begin, int64_t end) {
  double *p = e.p.data<double>(), *m = e.m.data<double>(), *v = e.v.data<double>();
  const double* g = e.g.data<double>();
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
  std::vector<int64_t> sizes;
  for (const AdamwTensors& e : a.tensors) sizes.push_back(e.p.size());
  ops::for_blocks_of(cx.pool(), sizes, kBlock, [&](size_t which, int64_t begin, int64_t end, int) {
    const AdamwTensors& e = a.tensors[which];
    if (e.p.dtype() == DType::f64) return update_f64(a, e, c, begin, end);
    k.adamw(e.p.data<float>() + begin, e.g.data<float>() + begin, e.m.data<float>() + begin, e.v.data<float>() + begin, static_cast<float>(a.grad_scale),
            static_cast<float>(c.decay), static_cast<float>(1 - a.beta1), static_cast<float>(a.beta2), static_cast<float>(1 - a.beta2),
            static_cast<float>(c.step_size), static_cast<float>(c.root_correction), static_cast<float>(a.eps), end - begin);
  });
}

}  // namespace lorikeet
