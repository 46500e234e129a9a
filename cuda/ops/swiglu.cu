// Gated activations, forward and backward (core/ops/swiglu.h): y = x s u with the gate x, its partner u and
// s = sigmoid(inner(x)); d_gate = dy u s (1 + x (1 - s) inner'(x)), d_up = dy x s. inner is x for SiLU and
// 2 sqrt(2/pi) (x + 0.044715 x^3) for GELU by tanh. Source: Shazeer 2020, arXiv:2002.05202.
//
// A thread takes 16 bytes of each operand at a time (f64: one element; likewise where an address or a stride is no multiple
// of 16 bytes), reads all of them and then writes: outputs may be any of the inputs. Without gaps all rows are one, else
// grid.y goes over rows; indices are 64-bit. Numbers are f32 inside, or f64 for f64, and rounded once; of 16-bit rows
// exponential and quotient are the fast ones, whose error of a few 2^-24 the rounding hides. Deterministic.
#include "core/base/error.h"
#include "cuda/device/pack.cuh"
#include "cuda/ops/half_rows.h"
#include "cuda/ops/twins.h"

namespace lorikeet::cuda {
namespace {

// sigmoid(x) for numbers that are stored as T.
template <class T>
__device__ inline Sum<T> sigmoid(Sum<T> x) {
  if constexpr (kIsHalfRow<T>) return __fdividef(1.0f, 1.0f + __expf(-x));
  else return 1 / (1 + exp(-x));
}
template <>
__device__ inline float sigmoid<float>(float x) { return 1.0f / (1.0f + expf(-x)); }

struct Silu {
  template <class S> __device__ static S inner(S x) { return x; }
  template <class S> __device__ static S slope(S) { return 1; }
};
/// In f32 the cube is cut off where it is far beyond both ends of the sigmoid.
struct GeluTanh {
  __device__ static float within(float x) { return x < -12.0f ? -12.0f : x > 12.0f ? 12.0f : x; }
  __device__ static double within(double x) { return x; }
  static constexpr double kFirst = 1.5957691216057308, kThird = kFirst * 0.044715;
  template <class S>
  __device__ static S inner(S x) {
    const S c = within(x), first = S(kFirst), third = S(kThird);
    return c * (first + third * c * c);
  }
  template <class S>
  __device__ static S slope(S x) {
    const S c = within(x), first = S(kFirst), third = S(kThird);
    return first + 3 * third * c * c;
  }
};

template <class T>
struct Rows {
  T* data;
  int64_t stride;
  __device__ T* at(int64_t row, int64_t column) const { return data + row * stride + column; }
};

template <class T, class Gate, int N>
__global__ void swiglu_kernel(Rows<const T> gate, Rows<const T> up, Rows<T> y, int64_t rows, int64_t width) {
  each_pack<N>(rows, width, [&](int64_t row, int64_t column, auto count) {
    constexpr int kCount = decltype(count)::value;
    const auto g = load_pack<kCount>(gate.at(row, column)), u = load_pack<kCount>(up.at(row, column));
    Pack<T, kCount> out;
    for (int i = 0; i < kCount; ++i) {
      const auto x = widened(g.at[i]);
      out.at[i] = rounded<T>(x * sigmoid<T>(Gate::inner(x)) * widened(u.at[i]));
    }
    store_pack(y.at(row, column), out);
  });
}

template <class T, class Gate, int N>
__global__ void swiglu_backward_kernel(Rows<const T> dy, Rows<const T> gate, Rows<const T> up, Rows<T> d_gate, Rows<T> d_up, int64_t rows, int64_t width) {
  each_pack<N>(rows, width, [&](int64_t row, int64_t column, auto count) {
    constexpr int kCount = decltype(count)::value;
    const auto d = load_pack<kCount>(dy.at(row, column)), g = load_pack<kCount>(gate.at(row, column)), u = load_pack<kCount>(up.at(row, column));
    Pack<T, kCount> dg, du;
    for (int i = 0; i < kCount; ++i) {
      const auto x = widened(g.at[i]), s = sigmoid<T>(Gate::inner(x)), pull = widened(d.at[i]) * s;
      dg.at[i] = rounded<T>(pull * widened(u.at[i]) * (1 + x * (1 - s) * Gate::slope(x)));
      du.at[i] = rounded<T>(pull * x);
    }
    store_pack(d_gate.at(row, column), dg);
    store_pack(d_up.at(row, column), du);
  });
}

template <class T> constexpr int kPacked = std::is_same_v<T, double> ? 1 : kPackCount<T>;

template <class T> Rows<const T> rows_of(const Tensor& t) { return {static_cast<const T*>(t.raw()), t.row_stride()}; }
template <class T> Rows<T> output(Tensor& t) { return {static_cast<T*>(t.raw()), t.row_stride()}; }
template <class T> RowPlace place(const Tensor& t) { return {t.raw(), t.row_stride(), sizeof(T)}; }

template <class T, class Gate, int N>
void start(const RowPlan& p, const SwigluArgs& a) {
  launch("swiglu", &swiglu_kernel<T, Gate, N>, p.grid, p.threads, 0, rows_of<T>(a.gate), rows_of<T>(a.up), output<T>(a.y), p.rows, p.width);
}
template <class T, class Gate, int N>
void start(const RowPlan& p, const SwigluBackwardArgs& a) {
  launch("swiglu_backward", &swiglu_backward_kernel<T, Gate, N>, p.grid, p.threads, 0, rows_of<T>(a.dy), rows_of<T>(a.gate), rows_of<T>(a.up), output<T>(a.d_gate),
         output<T>(a.d_up), p.rows, p.width);
}

template <class T>
RowPlan plan(const SwigluArgs& a) { return {a.gate.rows(), a.gate.width(), kPacked<T>, {place<T>(a.gate), place<T>(a.up), place<T>(a.y)}}; }
template <class T>
RowPlan plan(const SwigluBackwardArgs& a) {
  return {a.gate.rows(), a.gate.width(), kPacked<T>, {place<T>(a.dy), place<T>(a.gate), place<T>(a.up), place<T>(a.d_gate), place<T>(a.d_up)}};
}

template <class T, class Gate, class Args>
void run_packed(const Args& a) {
  const RowPlan p = plan<T>(a);
  if (p.packed) start<T, Gate, kPacked<T>>(p, a);
  else start<T, Gate, 1>(p, a);
}
template <class T, class Args>
void run(const Args& a) {
  if (a.activation == GateActivation::gelu_tanh) run_packed<T, GeluTanh>(a);
  else run_packed<T, Silu>(a);
}
template <class Args>
void by_type(const Args& a) {
  if (a.gate.size() == 0) return;
  if (a.gate.dtype() == DType::f64) run<double>(a);
  else if (is_half_row(a.gate.dtype())) by_half_row(a.gate.dtype(), [&](auto row) { run<decltype(row)>(a); });
  else run<float>(a);
}

}  // namespace

void swiglu(Context&, const SwigluArgs& a) { by_type(a); }
void swiglu_backward(Context&, const SwigluBackwardArgs& a) { by_type(a); }

}  // namespace lorikeet::cuda
