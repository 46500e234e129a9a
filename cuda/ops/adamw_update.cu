// AdamW update of one tensor (core/ops/adamw_update.h). Source: Loshchilov & Hutter 2019, arXiv:1711.05101.
//
// A thread takes four neighbouring f32 elements (one where an address is no multiple of 16 bytes; one of f64) of each
// operand at a time. Elements do not depend on each other: deterministic. Roundings are those of the CPU's wide kernels,
// spelled out: in f32 the moving averages and the step are fused with the sums they go into, in f64 nothing is.
#include <cmath>

#include "cuda/device/clip.cuh"
#include "cuda/device/pack.cuh"
#include "cuda/ops/twins.h"

namespace lorikeet::cuda {
namespace {

template <class T>
struct Constants {
  double grad_scale;
  T decay, one_minus_beta1, beta2, one_minus_beta2, step_size, root_correction, eps;
};

__device__ inline float product(float a, float b) { return __fmul_rn(a, b); }
__device__ inline double product(double a, double b) { return __dmul_rn(a, b); }
/// a * b + c
__device__ inline float product_sum(float a, float b, float c) { return fmaf(a, b, c); }
__device__ inline double product_sum(double a, double b, double c) { return __dadd_rn(__dmul_rn(a, b), c); }

template <class T>
__device__ inline void step(const Constants<T>& c, T scale, T& p, T g, T& m, T& v) {
  const T gradient = product(g, scale);
  m = product_sum(gradient - m, c.one_minus_beta1, m);
  v = product_sum(v, c.beta2, product(product(c.one_minus_beta2, gradient), gradient));
  const T denominator = sqrt(v) / c.root_correction + c.eps;
  p = product_sum(p, c.decay, -product(c.step_size, m / denominator));
}

template <class T, int N>
__global__ void adamw_update_kernel(Constants<T> c, Clip clip, T* p, const T* g, T* m, T* v, int64_t size) {
  double factor = c.grad_scale;
  if (!clip.apply(factor)) return;
  const T scale = static_cast<T>(factor);
  each_pack<N>(1, size, [&](int64_t, int64_t at, auto count) {
    constexpr int kCount = decltype(count)::value;
    auto parameters = load_pack<kCount>(p + at), first = load_pack<kCount>(m + at), second = load_pack<kCount>(v + at);
    const auto gradients = load_pack<kCount>(g + at);
    for (int i = 0; i < kCount; ++i) step(c, scale, parameters.at[i], gradients.at[i], first.at[i], second.at[i]);
    store_pack(p + at, parameters);
    store_pack(m + at, first);
    store_pack(v + at, second);
  });
}

template <class T>
Constants<T> constants_of(const AdamwUpdateArgs& a) {
  const auto t = static_cast<double>(a.step);
  const auto f = [](double x) { return static_cast<T>(x); };
  return {a.grad_scale, f(1 - a.learning_rate * a.weight_decay), f(1 - a.beta1), f(a.beta2), f(1 - a.beta2), f(a.learning_rate / (1 - std::pow(a.beta1, t))),
          f(std::sqrt(1 - std::pow(a.beta2, t))), f(a.eps)};
}

template <class T>
void run(const AdamwUpdateArgs& a) {
  constexpr int kPacked = std::is_same_v<T, double> ? 1 : kPackCount<T>;
  const int64_t size = a.p.size();
  const auto place = [&](const void* data) { return RowPlace{data, size, sizeof(T)}; };
  const RowPlan plan(1, size, kPacked, {place(a.p.raw()), place(a.g.raw()), place(a.m.raw()), place(a.v.raw())});
  launch("adamw_update", plan.packed ? &adamw_update_kernel<T, kPacked> : &adamw_update_kernel<T, 1>, plan.grid, plan.threads, 0, constants_of<T>(a), Clip(a.clip), a.p.data<T>(),
         a.g.data<T>(), a.m.data<T>(), a.v.data<T>(), size);
}

}  // namespace

void adamw_update(Context&, const AdamwUpdateArgs& a) {
  if (a.p.size() == 0) return;
  if (a.p.dtype() == DType::f64) run<double>(a);
  else run<float>(a);
}

}  // namespace lorikeet::cuda
