// AdamW update of several tensors in one launch (core/ops/adamw_update.h), one for f32 and one for f64 where there are
// both. Source: Loshchilov & Hutter 2019, arXiv:1711.05101.
//
// Tensors are cut into pieces of 4096 elements, a block of 256 threads does a piece. A thread takes four neighbouring f32
// elements (one where an address of the tensor is no multiple of 16 bytes; one of f64) of each operand at a time. Elements
// do not depend on each other: deterministic. Roundings are those of the CPU's wide kernels, spelled out: in f32 the
// moving averages and the step are fused with the sums they go into, in f64 nothing is.
#include <cmath>
#include <vector>

#include "cuda/device/clip.cuh"
#include "cuda/device/pack.cuh"
#include "cuda/ops/tensor_table.cuh"
#include "cuda/ops/twins.h"

namespace lorikeet::cuda {
namespace {

constexpr int kThreads = 256, kPiece = 4096;
template <class T> constexpr int kPacked = std::is_same_v<T, double> ? 1 : kPackCount<T>;  // elements a thread moves at a time

template <class T>
struct Entry {
  T* p;
  const T* g;
  T *m, *v;
  int64_t size, first_piece;
  int64_t packed;  // all operands may be moved in packs
};
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

template <int N, class T>
__device__ inline void step_pack(const Constants<T>& c, T scale, const Entry<T>& e, int64_t at) {
  auto parameters = load_pack<N>(e.p + at), first = load_pack<N>(e.m + at), second = load_pack<N>(e.v + at);
  const auto gradients = load_pack<N>(e.g + at);
  for (int i = 0; i < N; ++i) step(c, scale, parameters.at[i], gradients.at[i], first.at[i], second.at[i]);
  store_pack(e.p + at, parameters);
  store_pack(e.m + at, first);
  store_pack(e.v + at, second);
}

template <class T>
__global__ void adamw_update_kernel(Constants<T> c, Clip clip, const Entry<T>* table, int entries, int64_t pieces) {
  double factor = c.grad_scale;
  if (!clip.apply(factor)) return;
  const T scale = static_cast<T>(factor);
  for (int64_t piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
    const Entry<T> e = entry_of(table, entries, piece);
    const int64_t begin = (piece - e.first_piece) * kPiece, end = min(begin + kPiece, e.size), whole = e.packed ? end / kPacked<T> * kPacked<T> : begin;
    for (int64_t at = begin + int64_t{threadIdx.x} * kPacked<T>; at < whole; at += kThreads * kPacked<T>) step_pack<kPacked<T>>(c, scale, e, at);
    for (int64_t at = whole + threadIdx.x; at < end; at += kThreads) step_pack<1>(c, scale, e, at);
  }
}

template <class T>
Constants<T> constants_of(const AdamwUpdateArgs& a) {
  const auto t = static_cast<double>(a.step);
  const auto f = [](double x) { return static_cast<T>(x); };
  return {a.grad_scale, f(1 - a.learning_rate * a.weight_decay), f(1 - a.beta1), f(a.beta2), f(1 - a.beta2), f(a.learning_rate / (1 - std::pow(a.beta1, t))),
          f(std::sqrt(1 - std::pow(a.beta2, t))), f(a.eps)};
}

/// The tensors of this type.
template <class T>
void run(Context& cx, const AdamwUpdateArgs& a) {
  std::vector<Entry<T>> table;
  int64_t pieces = 0;
  for (const AdamwTensors& t : a.tensors) {
    if (t.p.dtype() != dtype_of<T>() || t.p.size() == 0) continue;
    bool packed = true;
    for (const void* operand : {static_cast<const void*>(t.p.raw()), t.g.raw(), static_cast<const void*>(t.m.raw()), static_cast<const void*>(t.v.raw())})
      packed = packed && reinterpret_cast<uintptr_t>(operand) % (kPacked<T> * sizeof(T)) == 0;
    table.push_back({t.p.template data<T>(), t.g.template data<T>(), t.m.template data<T>(), t.v.template data<T>(), t.p.size(), pieces, packed});
    pieces += (t.p.size() + kPiece - 1) / kPiece;
  }
  if (table.empty()) return;
  const Entry<T>* entries = cx.kept<SentTables>().send(table);
  launch("adamw_update", &adamw_update_kernel<T>, {blocks_for(pieces, 1)}, kThreads, 0, constants_of<T>(a), Clip(a.clip), entries,
         static_cast<int>(table.size()), pieces);
}

}  // namespace

void adamw_update(Context& cx, const AdamwUpdateArgs& a) {
  run<float>(cx, a);
  run<double>(cx, a);
}

}  // namespace lorikeet::cuda
