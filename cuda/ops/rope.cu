// Rotary position embedding, half-split pairing (core/ops/rope.h): (a, b) -> (a cos - b sin, b cos + a sin) for the elements
// j and j + D/2 of each head; `inverse` turns the sine's sign. Source: Su et al. 2021, arXiv:2104.09864.
//
// One thread takes N neighbouring elements of a first half and the N of the second half that go with them, reads both and
// then writes both: x may be rotated in place. grid.x goes over the halves of one token's heads, grid.y over tokens. N is
// 16 bytes of x where D/2, addresses and strides are multiples of them, else 1. Each product that is not part of a fused
// step is rounded by itself, in the order of the CPU's kernels; deterministic.
#include "core/base/error.h"
#include "cuda/device/pack.cuh"
#include "cuda/ops/half_rows.h"
#include "cuda/ops/twins.h"

namespace lorikeet::cuda {
namespace {

template <class T>
struct RopeRows {
  const T* x;
  int64_t x_stride;
  const int32_t* positions;
  const T* table;
  int64_t table_stride;
  int64_t rows;
  int items, half;  // packs of first halves in a row, elements of a half
  T sign;
};

template <class T, class Y, int N>
__global__ void rope_kernel(RopeRows<T> r, Y* y, int64_t y_stride) {
  const int of_a_head = r.half / N;
  for (int64_t row = blockIdx.y; row < r.rows; row += gridDim.y) {
    const T* cosines = r.table + r.positions[row] * r.table_stride;
    for (int item = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); item < r.items; item += static_cast<int>(gridDim.x * blockDim.x)) {
      const int head = item / of_a_head, j = (item - head * of_a_head) * N;
      const int64_t at = int64_t{head} * 2 * r.half + j;
      const T* x = r.x + row * r.x_stride + at;
      Y* out = y + row * y_stride + at;
      const auto a = load_pack<N>(x), b = load_pack<N>(x + r.half), cosine = load_pack<N>(cosines + j), sine = load_pack<N>(cosines + r.half + j);
      Pack<Y, N> first, second;
      for (int i = 0; i < N; ++i) {
        const T s = r.sign * sine.at[i];
        first.at[i] = rounded<Y>(fma(a.at[i], cosine.at[i], -(b.at[i] * s)));
        second.at[i] = rounded<Y>(fma(b.at[i], cosine.at[i], a.at[i] * s));
      }
      store_pack(out, first);
      store_pack(out + r.half, second);
    }
  }
}

template <class T>
bool in_packs(const void* data, int64_t stride, int64_t count) {
  return reinterpret_cast<uintptr_t>(data) % (static_cast<size_t>(count) * sizeof(T)) == 0 && stride % count == 0;
}

template <class T, class Y, int N>
void start(RopeRows<T> r, Tensor& y) {
  r.items /= N;
  const int threads = std::min(256, (r.items + kWarpThreads - 1) / kWarpThreads * kWarpThreads);
  launch("rope", &rope_kernel<T, Y, N>, {blocks_for(r.items, threads), std::min<int64_t>(r.rows, 65535)}, threads, 0, r, static_cast<Y*>(y.raw()), y.row_stride());
}

template <class T, class Y>
void run(const RopeArgs& a, Tensor& y) {
  if (a.x.width() > INT32_MAX) throw UnsupportedError("rope: rows of " + std::to_string(a.x.width()) + " elements on cuda");
  const Tensor positions = a.positions.on(DeviceType::cuda);
  const RopeRows<T> r{a.x.data<T>(), a.x.row_stride(), positions.data<int32_t>(), a.cos_sin.data<T>(), a.cos_sin.row_stride(), a.x.rows(),
                      static_cast<int>(a.x.width() / 2), static_cast<int>(a.head_dim / 2), a.inverse ? T(-1) : T(1)};
  constexpr int kCount = kPackCount<T>;
  const bool packed = r.half % kCount == 0 && in_packs<T>(r.x, r.x_stride, kCount) && in_packs<T>(r.table, r.table_stride, kCount) && in_packs<Y>(y.raw(), y.row_stride(), kCount);
  if (packed) start<T, Y, kCount>(r, y);
  else start<T, Y, 1>(r, y);
}

}  // namespace

void rope(Context&, const RopeArgs& a) {
  if (a.x.size() == 0) return;
  if (a.rounded) by_half_row(a.rounded->dtype(), [&](auto row) { run<float, decltype(row)>(a, *a.rounded); });
  else if (a.x.dtype() == DType::f64) run<double, double>(a, a.x);
  else run<float, float>(a, a.x);
}

}  // namespace lorikeet::cuda
