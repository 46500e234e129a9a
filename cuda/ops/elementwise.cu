// Small dense helpers (core/ops/elementwise.h): y = a + b, y += s x, and rows gathered or scattered by number.
//
// A thread takes 16 bytes of each operand at a time where addresses and strides allow it, else one element; grid.y goes
// over rows where they have gaps or are named one by one. Indices are 64-bit. add: y may be a or b, as each element is read
// by the thread that writes it. s x + y is one fused step, as in the CPU's wide kernels. Rows are moved as bits, so any
// type of 2, 4 or 8 bytes goes the same way; scattered rows are distinct, so no two threads write one place. Deterministic.
#include "core/base/error.h"
#include "cuda/device/pack.cuh"
#include "cuda/ops/linear_parts.h"
#include "cuda/ops/twins.h"

namespace lorikeet::cuda {
namespace {

template <class T, int N>
__global__ void add_kernel(const T* a, int64_t a_stride, const T* b, int64_t b_stride, T* y, int64_t y_stride, int64_t rows, int64_t width) {
  each_pack<N>(rows, width, [&](int64_t row, int64_t column, auto count) {
    constexpr int kCount = decltype(count)::value;
    auto sum = load_pack<kCount>(a + row * a_stride + column);
    const auto other = load_pack<kCount>(b + row * b_stride + column);
    for (int i = 0; i < kCount; ++i) sum.at[i] += other.at[i];
    store_pack(y + row * y_stride + column, sum);
  });
}

template <class T, int N>
__global__ void add_scaled_kernel(const T* x, int64_t x_stride, T scale, T* y, int64_t y_stride, int64_t rows, int64_t width) {
  each_pack<N>(rows, width, [&](int64_t row, int64_t column, auto count) {
    constexpr int kCount = decltype(count)::value;
    auto sum = load_pack<kCount>(y + row * y_stride + column);
    const auto more = load_pack<kCount>(x + row * x_stride + column);
    for (int i = 0; i < kCount; ++i) sum.at[i] = fma(scale, more.at[i], sum.at[i]);
    store_pack(y + row * y_stride + column, sum);
  });
}

/// y[to[r]] = x[from[r]]; without a list of numbers the row is r itself, and -1 is no row: zeros come from it. W is a word of 2 to 16 bytes, strides count words.
template <class W>
__global__ void move_rows_kernel(const W* x, int64_t x_stride, const int32_t* from, W* y, int64_t y_stride, const int32_t* to, int64_t rows, int64_t width) {
  each_pack<1>(rows, width, [&](int64_t row, int64_t column, auto) {
    const int64_t source = from ? from[row] : row, target = to ? to[row] : row;
    if (target >= 0) y[target * y_stride + column] = source >= 0 ? x[source * x_stride + column] : W{};
  });
}
template <class W>
__global__ void zero_rows_kernel(W* y, int64_t y_stride, int64_t rows, int64_t width) {
  each_pack<1>(rows, width, [&](int64_t row, int64_t column, auto) { y[row * y_stride + column] = W{}; });
}

RowPlace place(const Tensor& t) { return {t.raw(), t.row_stride(), dtype_bytes(t.dtype())}; }
template <class T> constexpr int kPacked = std::is_same_v<T, double> ? 1 : kPackCount<T>;

template <class T>
void run_add(const Tensor& a, const Tensor& b, Tensor& y) {
  const RowPlan p(a.rows(), a.width(), kPacked<T>, {place(a), place(b), place(y)});
  launch("add", p.packed ? &add_kernel<T, kPacked<T>> : &add_kernel<T, 1>, p.grid, p.threads, 0, a.data<T>(), a.row_stride(), b.data<T>(), b.row_stride(), y.data<T>(),
         y.row_stride(), p.rows, p.width);
}
void add(Context&, const Tensor& a, const Tensor& b, Tensor& y) {
  if (a.size() == 0) return;
  if (a.dtype() == DType::f64) run_add<double>(a, b, y);
  else run_add<float>(a, b, y);
}

template <class T>
void run_add_scaled(Tensor& y, const Tensor& x, double s) {
  const RowPlan p(y.rows(), y.width(), kPacked<T>, {place(x), place(y)});
  launch("add_scaled", p.packed ? &add_scaled_kernel<T, kPacked<T>> : &add_scaled_kernel<T, 1>, p.grid, p.threads, 0, x.data<T>(), x.row_stride(), static_cast<T>(s),
         y.data<T>(), y.row_stride(), p.rows, p.width);
}
void add_scaled(Context&, Tensor& y, const Tensor& x, double s) {
  if (y.size() == 0) return;
  if (y.dtype() == DType::f64) run_add_scaled<double>(y, x, s);
  else run_add_scaled<float>(y, x, s);
}

/// Rows of a tensor as words of W; false where address, stride or width is no multiple of a word.
template <class W>
bool in_words(const Tensor& t) {
  const size_t bytes = dtype_bytes(t.dtype());
  const auto whole = [&](int64_t elements) { return static_cast<size_t>(elements) * bytes % sizeof(W) == 0; };
  return reinterpret_cast<uintptr_t>(t.raw()) % sizeof(W) == 0 && whole(t.row_stride()) && whole(t.width());
}
template <class W>
int64_t words(const Tensor& t, int64_t elements) { return elements * static_cast<int64_t>(dtype_bytes(t.dtype())) / static_cast<int64_t>(sizeof(W)); }
RowPlan plan_of(int64_t rows, int64_t width_in_words) { return {rows, width_in_words, 1, {{nullptr, -1, 1}}}; }  // never joined: rows are named one by one

template <class W>
void move_rows(const char* name, const Tensor& x, const int32_t* from, Tensor& y, const int32_t* to, int64_t rows) {
  const RowPlan p = plan_of(rows, words<W>(x, x.width()));
  launch(name, &move_rows_kernel<W>, p.grid, p.threads, 0, static_cast<const W*>(x.raw()), words<W>(x, x.row_stride()), from, static_cast<W*>(y.raw()),
         words<W>(y, y.row_stride()), to, p.rows, p.width);
}
template <class W>
void zero_rows(Tensor& y) {
  const RowPlan p = plan_of(y.rows(), words<W>(y, y.width()));
  launch("scatter_rows", &zero_rows_kernel<W>, p.grid, p.threads, 0, static_cast<W*>(y.raw()), words<W>(y, y.row_stride()), p.rows, p.width);
}

template <class W>
struct Word { using type = W; };
/// body(Word) with the widest word that rows of both tensors are made of.
template <class F>
void by_word(const Tensor& x, const Tensor& y, const F& body) {
  if (in_words<uint4>(x) && in_words<uint4>(y)) body(Word<uint4>{});
  else if (in_words<uint2>(x) && in_words<uint2>(y)) body(Word<uint2>{});
  else if (in_words<uint32_t>(x) && in_words<uint32_t>(y)) body(Word<uint32_t>{});
  else body(Word<uint16_t>{});
}

void gather_rows(Context&, const Tensor& x, const Tensor& rows, Tensor& y) {
  if (y.size() == 0) return;
  const Tensor named = rows.on(DeviceType::cuda);
  by_word(x, y, [&](auto word) { move_rows<typename decltype(word)::type>("gather_rows", x, named.data<int32_t>(), y, nullptr, y.rows()); });
}

void scatter_rows(Context&, const Tensor& x, const Tensor& rows, Tensor& y) {
  if (y.size() == 0) return;
  by_word(y, y, [&](auto word) { zero_rows<typename decltype(word)::type>(y); });
  if (x.size() == 0) return;
  const Tensor named = rows.on(DeviceType::cuda);
  by_word(x, y, [&](auto word) { move_rows<typename decltype(word)::type>("scatter_rows", x, nullptr, y, named.data<int32_t>(), x.rows()); });
}

void round_values(Context&, const Tensor& x, Tensor& y) { convert_rows(x, y); }

}  // namespace

const ElementwiseKernels kElementwise = {&add, &add_scaled, &gather_rows, &scatter_rows, &round_values};

}  // namespace lorikeet::cuda
