// Passes over rows for the linear layers and the head.
//
// convert and start: a thread takes packs of neighbouring elements (device/pack.cuh: 16 bytes of the narrower type where all
// operands allow it, else one). Dropout: a block of 128 threads takes a row, and every gridDim.x-th; each thread draws the
// row's keys once and takes every 128th pack. What is written was read by the same thread: outputs may be inputs.
// f32 inside, rounded once; indices are 64-bit; deterministic.
#include "cuda/ops/linear_parts.h"

#include "core/base/error.h"
#include "cuda/device/pack.cuh"
#include "cuda/device/random.cuh"
#include "cuda/ops/half_rows.h"
#include "cuda/runtime/matmul.h"

namespace lorikeet::cuda {
namespace {

constexpr int kDropThreads = 128;
constexpr int64_t kDropBlocks = 1 << 16;
constexpr int64_t kDefaultWorkBytes = 256 << 20;
int64_t chosen_work_bytes = kDefaultWorkBytes;

template <class T>
struct Rows {
  T* data;
  int64_t stride;
  __device__ T* at(int64_t row, int64_t column) const { return data + row * stride + column; }
};
template <class T>
Rows<T> rows_of(Tensor& t) { return {static_cast<T*>(t.raw()), t.row_stride()}; }
template <class T>
Rows<const T> rows_of(const Tensor& t) { return {static_cast<const T*>(t.raw()), t.row_stride()}; }
RowPlace place(const Tensor& t) { return {t.raw(), t.row_stride(), dtype_bytes(t.dtype())}; }

template <class X, class Y, int N>
__global__ void convert_kernel(Rows<const X> x, Rows<Y> y, int64_t rows, int64_t width) {
  each_pack<N>(rows, width, [&](int64_t row, int64_t column, auto count) {
    constexpr int kCount = decltype(count)::value;
    const auto in = load_pack<kCount>(x.at(row, column));
    Pack<Y, kCount> out;
    for (int i = 0; i < kCount; ++i) out.at[i] = rounded<Y>(widened(in.at[i]));
    store_pack(y.at(row, column), out);
  });
}

template <class Y, int N>
__global__ void start_kernel(Rows<const float> residual, const float* bias, Rows<Y> y, int64_t rows, int64_t width) {
  each_pack<N>(rows, width, [&](int64_t row, int64_t column, auto count) {
    constexpr int kCount = decltype(count)::value;
    Pack<float, kCount> sum{};
    if (residual.data) sum = load_pack<kCount>(residual.at(row, column));
    Pack<Y, kCount> out;
    if (bias) {
      const auto b = load_pack<kCount>(bias + column);
      for (int i = 0; i < kCount; ++i) sum.at[i] += b.at[i];
    }
    for (int i = 0; i < kCount; ++i) out.at[i] = rounded<Y>(sum.at[i]);
    store_pack(y.at(row, column), out);
  });
}

template <class X, class Y, int N, bool kAdd>
__global__ void drop_kernel(Rows<const X> x, Rows<Y> y, int64_t rows, int64_t width, int64_t first, DropoutSeed from, DropoutRate rate) {
  const uint64_t seed = from.mixed();
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const DropoutMask mask(seed, first + row, rate.threshold);
    const auto some = [&](int64_t column, auto count) {
      constexpr int kCount = decltype(count)::value;
      const auto in = load_pack<kCount>(x.at(row, column));
      Pack<Y, kCount> out{};
      if constexpr (kAdd) out = load_pack<kCount>(y.at(row, column));
      for (int i = 0; i < kCount; ++i) {
        const float kept = mask.drops(static_cast<uint32_t>(column + i)) ? 0.0f : widened(in.at[i]) * rate.scale;
        out.at[i] = rounded<Y>(kAdd ? widened(out.at[i]) + kept : kept);
      }
      store_pack(y.at(row, column), out);
    };
    for (int64_t column = int64_t{threadIdx.x} * N; column < width; column += kDropThreads * N) {
      if (N == 1 || column + N <= width) {
        some(column, Count<N>{});
      } else {
        for (int64_t last = column; last < width; ++last) some(last, Count<1>{});
      }
    }
  }
}

template <class X, class Y>
void convert(const Tensor& x, Tensor& y) {
  constexpr int kCount = 4;  // of f32, beside which 16-bit numbers take 8 bytes
  const RowPlan plan(x.rows(), x.width(), kCount, {place(x), place(y)});
  launch("convert_rows", plan.packed ? &convert_kernel<X, Y, kCount> : &convert_kernel<X, Y, 1>, plan.grid, plan.threads, 0, rows_of<X>(x), rows_of<Y>(y), plan.rows, plan.width);
}

template <class Y>
void start(const Tensor* residual, const Tensor* bias, Tensor& y) {
  constexpr int kCount = 4;
  const RowPlace nothing{nullptr, y.row_stride(), sizeof(float)};
  const RowPlace along{bias ? bias->raw() : nullptr, bias ? 0 : y.row_stride(), sizeof(float)};  // with a bias rows stay apart
  const RowPlan plan(y.rows(), y.width(), kCount, {place(y), residual ? place(*residual) : nothing, along});
  const Rows<const float> from = residual ? rows_of<float>(*residual) : Rows<const float>{nullptr, 0};
  launch("start_rows", plan.packed ? &start_kernel<Y, kCount> : &start_kernel<Y, 1>, plan.grid, plan.threads, 0, from, bias ? bias->data<float>() : nullptr, rows_of<Y>(y), plan.rows,
         plan.width);
}

template <class X, class Y, bool kAdd>
void drop(const Tensor& x, Tensor& y, int64_t first, const Dropout& d) {
  if (x.size() == 0) return;
  constexpr int kCount = std::is_same_v<Y, float> ? 4 : 8;
  const RowPlan plan(x.rows(), x.width(), kCount, {place(x), place(y), {nullptr, 0, 1}});  // a row by itself
  launch(kAdd ? "add_dropped_rows" : "drop_rows", plan.packed ? &drop_kernel<X, Y, kCount, kAdd> : &drop_kernel<X, Y, 1, kAdd>, {blocks_for(x.rows(), 1, kDropBlocks)}, kDropThreads, 0,
         rows_of<X>(x), rows_of<Y>(y), x.rows(), x.width(), first, DropoutSeed{d.seed, d.step ? static_cast<const uint32_t*>(d.step->raw()) : nullptr}, DropoutRate(d.p));
}

}  // namespace

void product(const Tensor& a, Lies a_lies, const Tensor& b, Lies b_lies, Tensor& c, float alpha, bool accumulate) {
  const bool a_turned = a_lies == Lies::turned, b_turned = b_lies == Lies::turned;
  MatmulArgs m{};
  m.m = c.dim(0), m.n = c.dim(1), m.k = a.dim(a_turned ? 0 : 1);
  if (m.m == 0 || m.n == 0 || (m.k == 0 && accumulate)) return;
  m.a = a.raw(), m.a_stride = a.row_stride(), m.a_turned = a_turned;
  m.b = b.raw(), m.b_stride = b.row_stride(), m.b_turned = b_turned;
  m.type = a.dtype();
  m.c = c.raw(), m.c_stride = c.row_stride(), m.c_type = c.dtype();
  m.alpha = alpha, m.accumulate = accumulate;
  matmul(m);
}

void convert_rows(const Tensor& x, Tensor& y) {
  if (x.size() == 0) return;
  const bool from_f32 = x.dtype() == DType::f32, to_f32 = y.dtype() == DType::f32;
  if (!from_f32 && !to_f32 && x.dtype() != y.dtype())
    throw UnsupportedError("convert_rows: " + std::string(dtype_name(x.dtype())) + " to " + std::string(dtype_name(y.dtype())) + " on cuda");
  if (from_f32 && to_f32) return convert<float, float>(x, y);
  by_half_row(from_f32 ? y.dtype() : x.dtype(), [&](auto row) {
    using T = decltype(row);
    if (from_f32) convert<float, T>(x, y);
    else if (to_f32) convert<T, float>(x, y);
    else convert<T, T>(x, y);
  });
}

Tensor as_type(const Tensor& x, DType type) {
  if (x.dtype() == type) return x;
  Tensor y = Tensor::empty(x.shape(), type, DeviceType::cuda);
  convert_rows(x, y);
  return y;
}

void start_rows(const Tensor* residual, const Tensor* bias, Tensor& y) {
  if (y.size() == 0) return;
  if (y.dtype() == DType::f32) start<float>(residual, bias, y);
  else by_half_row(y.dtype(), [&](auto row) { start<decltype(row)>(residual, bias, y); });
}

void drop_rows(const Tensor& x, Tensor& y, int64_t first, const Dropout& d) {
  if (x.dtype() == DType::f32) drop<float, float, false>(x, y, first, d);
  else by_half_row(x.dtype(), [&](auto row) { drop<decltype(row), decltype(row), false>(x, y, first, d); });
}

void add_dropped_rows(const Tensor& x, Tensor& y, int64_t first, const Dropout& d) {
  if (x.dtype() == DType::f32) drop<float, float, true>(x, y, first, d);
  else by_half_row(x.dtype(), [&](auto row) { drop<decltype(row), float, true>(x, y, first, d); });
}

int64_t work_bytes() { return chosen_work_bytes; }
void set_work_bytes(int64_t bytes) { chosen_work_bytes = bytes > 0 ? bytes : kDefaultWorkBytes; }

int64_t masked_rows(const Tensor& x) {
  return std::max<int64_t>(1, work_bytes() / 4 / (static_cast<int64_t>(dtype_bytes(x.dtype())) * std::max<int64_t>(1, x.width())));
}

int64_t panel_rows(const DeviceWeight& w, DType type) {
  const auto row_bytes = static_cast<int64_t>(dtype_bytes(type)) * std::max<int64_t>(1, w.columns());
  if (w.plain(type) || w.rows() * row_bytes <= work_bytes()) return std::max<int64_t>(1, w.rows());
  return std::max<int64_t>(1, work_bytes() / row_bytes / 8 * 8);
}

}  // namespace lorikeet::cuda
