// Output head and cross entropy, in chunks of rows: logits of a chunk in f32 by one product, then one kernel makes losses
// and gradient in place, then a second product with the head gives dx. Never more logits than a chunk (kernels.md 6).
//
// The kernel: one block of 256 threads a row; a thread takes every 256th pack of eight logits. Pass 1 keeps a running
// maximum and sum of exponentials (Milakov & Gimelshein 2018, arXiv:1805.02867), pass 2 writes exp(logit - maximum), with a
// zero at the target: as f32 where the logits stood, or rounded to 16 bits in the first half of the row, where all threads have
// read what stood there (a barrier each step). Rows of logits are filled up to eight: 16-byte loads. Sums over the
// vocabulary are f64, in a fixed order: deterministic.
// dx = scale / sum (sum of weights * rows of the head - sum of the weights * head[target]): the target's own term is added
// in f32 at the end, from the weights as they were rounded. Factors then sum to zero and a row that all rows of the head
// have in common cancels, so nothing is subtracted from the head as on the host (core/ops/head_rows.h).
#include <cmath>

#include "core/base/error.h"
#include "cuda/device/pack.cuh"
#include "cuda/device/reduce.cuh"
#include "cuda/ops/half_rows.h"
#include "cuda/ops/linear_parts.h"
#include "cuda/ops/twins.h"

namespace lorikeet::cuda {
namespace {

constexpr int kThreads = 256, kPack = 8;
constexpr int64_t kMostRows = 4096, kLeastRows = 16;  // of a chunk
constexpr int kHeadPanels = 2;                        // a head that takes up to so many times work_bytes() is decoded once
constexpr int64_t kLargestGrid = 1 << 16;

/// What a row's losses and gradient need of it.
struct RowFactors {
  float others, own;  // of the weights, and of the target's row
};

__device__ inline void load_logits(const float* z, int64_t at, int64_t width, float* out) {
  const auto a = load_pack<4>(z + at), b = load_pack<4>(z + at + 4);  // rows are filled up: what lies behind is not used
  for (int i = 0; i < 4; ++i) out[i] = a.at[i], out[4 + i] = b.at[i];
  for (int i = 0; i < kPack; ++i)
    if (at + i >= width) out[i] = -INFINITY;
}

/// Maximum of the row and sum of exp(logit - maximum), in every thread.
struct RowSum {
  float top;
  double sum;
};
__device__ inline RowSum sum_row(const float* z, int64_t width, Shared<float> maxima, Shared<double> sums) {
  float top = -INFINITY;
  double sum = 0;
  for (int64_t at = int64_t{threadIdx.x} * kPack; at < width; at += kThreads * kPack) {
    float v[kPack];
    load_logits(z, at, width, v);
    float largest = top;
    for (int i = 0; i < kPack; ++i) largest = v[i] > largest ? v[i] : largest;
    if (largest > top) {
      sum *= static_cast<double>(expf(top - largest));
      top = largest;
    }
    float part = 0;
    for (int i = 0; i < kPack; ++i) part += expf(v[i] - top);
    sum += static_cast<double>(part);
  }
  const float most = block_max<kThreads>(top, maxima);
  const double mine = top > -INFINITY ? sum * static_cast<double>(expf(top - most)) : sum;
  return {most, block_sum<kThreads>(mine, sums)};
}

/// Weights of a row over its logits; returns their sum without the target's, in every thread.
template <class W>
__device__ inline double write_weights(float* z, int64_t width, int64_t target, float top, Shared<double> sums) {
  W* weights = reinterpret_cast<W*>(z);
  double sum = 0;
  for (int64_t first = 0; first < width; first += kThreads * kPack) {
    const int64_t at = first + int64_t{threadIdx.x} * kPack;
    float v[kPack];
    if (at < width) load_logits(z, at, width, v);
    if (sizeof(W) < sizeof(float)) __syncthreads();
    if (at >= width) continue;
    Pack<W, kPack> out;
    float part = 0;
    for (int i = 0; i < kPack; ++i) {
      out.at[i] = rounded<W>(at + i == target ? 0.0f : expf(v[i] - top));
      part += widened(out.at[i]);
    }
    sum += static_cast<double>(part);
    if constexpr (sizeof(W) == sizeof(float)) {
      store_pack(weights + at, Pack<W, 4>{{out.at[0], out.at[1], out.at[2], out.at[3]}});
      store_pack(weights + at + 4, Pack<W, 4>{{out.at[4], out.at[5], out.at[6], out.at[7]}});
    } else {
      store_pack(weights + at, out);
    }
  }
  return block_sum<kThreads>(sum, sums);
}

template <class W>
__global__ void __launch_bounds__(kThreads) loss_kernel(float* logits, int64_t stride, int64_t rows, int64_t width, const int32_t* targets, double* losses, float* kept, RowFactors* factors,
                                                        double scale) {
  SharedMemory memory;
  const Shared<float> maxima = memory.take<float>(kThreads / kWarpThreads);
  const Shared<double> sums = memory.take<double>(kThreads / kWarpThreads);
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    float* z = logits + row * stride;
    const int64_t target = targets[row];
    const double at_target = target >= 0 ? static_cast<double>(z[target]) : 0.0;
    const RowSum all = sum_row(z, width, maxima, sums);  // ends with a barrier: all threads have the target's logit
    const double loss = target >= 0 ? static_cast<double>(all.top) + log(all.sum) - at_target : 0.0;
    if (threadIdx.x == 0) {
      losses[row] = loss;
      if (kept) kept[row] = static_cast<float>(loss);
    }
    if (!factors) continue;
    const double others = write_weights<W>(z, width, target, all.top, sums);
    const double weight = target >= 0 ? scale / all.sum : 0.0;
    if (threadIdx.x == 0) factors[row] = {static_cast<float>(weight), static_cast<float>(-weight * others)};
  }
}
SharedSize loss_shared() { return SharedSize().take<float>(kThreads / kWarpThreads).take<double>(kThreads / kWarpThreads); }

/// dx = others dx + own head[target]; `rows_of_targets` has no gaps.
template <int N>
__global__ void finish_kernel(float* dx, int64_t stride, const float* rows_of_targets, const RowFactors* factors, int64_t rows, int64_t width) {
  each_pack<N>(rows, width, [&](int64_t row, int64_t column, auto count) {
    constexpr int kCount = decltype(count)::value;
    const RowFactors f = factors[row];
    auto sum = load_pack<kCount>(dx + row * stride + column);
    const auto target = load_pack<kCount>(rows_of_targets + row * width + column);
    for (int i = 0; i < kCount; ++i) sum.at[i] = sum.at[i] * f.others + target.at[i] * f.own;
    store_pack(dx + row * stride + column, sum);
  });
}

/// One block: the sum of all, by itself or onto what is there.
__global__ void __launch_bounds__(kThreads) sum_kernel(const double* losses, int64_t n, double* sum, bool add) {
  SharedMemory memory;
  const Shared<double> shared = memory.take<double>(kThreads / kWarpThreads);
  double mine = 0;
  for (int64_t i = threadIdx.x; i < n; i += kThreads) mine += losses[i];
  const double all = block_sum<kThreads>(mine, shared);
  if (threadIdx.x == 0) *sum = (add ? *sum : 0.0) + all;
}

/// The head in the type of the rows: decoded once where it is not too large, else panel by panel for each use.
class DecodedHead {
 public:
  DecodedHead(const Context& cx, const DeviceWeight& w, DType type) : w_(w), type_(type) {
    if (w.plain(type)) return;
    whole_ = w.rows() * w.columns() * static_cast<int64_t>(dtype_bytes(type)) <= kHeadPanels * work_bytes();
    room_ = cx.empty({whole_ ? w.rows() : panel_rows(w, type), w.columns()}, type);
    if (whole_) decode_weight(w, 0, w.rows(), type, room_.raw(), w.columns());
  }
  template <class F>
  void each(const F& f) const {
    if (whole_) f(int64_t{0}, room_);
    else each_panel(w_, type_, room_, f);
  }

 private:
  const DeviceWeight& w_;
  DType type_;
  bool whole_ = false;
  Tensor room_;
};

struct Chunks {
  Context& cx;
  const LinearCrossEntropyArgs& a;
  const DeviceWeight& w;
  const DecodedHead& head;
  int64_t total = a.x.dim(0), vocabulary = w.rows(), stride = (vocabulary + kPack - 1) / kPack * kPack;
  int64_t most = std::min(total, std::clamp(work_bytes() / (4 * stride), kLeastRows, kMostRows));
  Tensor logits = cx.empty({most, stride});
  Tensor losses = cx.empty({total}, DType::f64);
  Tensor factors = cx.empty({most, 2});

  void make_losses(int64_t first, int64_t rows) {
    const Tensor x = a.x.slice(first, first + rows);
    head.each([&](int64_t row, const Tensor& panel) {
      Tensor z = logits.slice(0, rows).columns(row, row + panel.dim(0));
      product(x, Lies::as_stored, panel, Lies::turned, z);
    });
    const auto kernel = is_half_row(x.dtype()) ? by_half_row(x.dtype(), [](auto row) { return &loss_kernel<decltype(row)>; }) : &loss_kernel<float>;
    auto* to = a.dx ? static_cast<RowFactors*>(factors.raw()) : nullptr;
    launch("linear_cross_entropy", kernel, {blocks_for(rows, 1, kLargestGrid)}, kThreads, loss_shared().bytes, logits.data<float>(), stride, rows, vocabulary,
           a.targets.data<int32_t>() + first, losses.data<double>() + first, a.losses ? a.losses->data<float>() + first : nullptr, to, a.gradient_scale);
  }

  void make_dx(int64_t first, int64_t rows) {
    const bool half = is_half_row(a.x.dtype());
    const Tensor weights = half ? Tensor::borrow(logits.raw(), {rows, 2 * stride}, a.x.dtype(), nullptr, DeviceType::cuda) : logits.slice(0, rows);
    Tensor dx = a.dx->slice(first, first + rows);
    head.each([&](int64_t row, const Tensor& panel) { product(weights.columns(row, row + panel.dim(0)), Lies::as_stored, panel, Lies::as_stored, dx, 1, row > 0); });
    const int64_t width = dx.dim(1);
    Tensor of_targets = cx.empty({rows, width});
    decode_gathered(w, a.targets.data<int32_t>() + first, rows, DType::f32, of_targets.raw(), width);
    const RowPlan plan(rows, width, 4, {{dx.raw(), dx.row_stride(), 4}, {of_targets.raw(), width, 4}, {nullptr, 0, 4}});  // rows stay apart: each has its factors
    launch("linear_cross_entropy dx", plan.packed ? &finish_kernel<4> : &finish_kernel<1>, plan.grid, plan.threads, 0, dx.data<float>(), dx.row_stride(), of_targets.data<float>(),
           static_cast<const RowFactors*>(factors.raw()), rows, width);
  }

  /// Into `to` [1] f64, or onto what it holds.
  void sum(Tensor& to, bool add) {
    launch("linear_cross_entropy sum", &sum_kernel, {1}, kThreads, SharedSize().take<double>(kThreads / kWarpThreads).bytes, losses.data<double>(), total, to.data<double>(), add);
  }
};

}  // namespace

void linear_cross_entropy(Context& cx, const LinearCrossEntropyArgs& a) {
  if (a.x.dtype() == DType::f64) throw UnsupportedError("linear_cross_entropy: rows of f64 on cuda; wanted f32, bf16 or f16");
  const DeviceWeight& w = device_weight("linear_cross_entropy", a.head);
  if (a.loss_sum) *a.loss_sum = 0;
  if (a.x.dim(0) == 0) return;
  const DecodedHead head(cx, w, a.x.dtype());
  Chunks chunks{cx, a, w, head};
  for (int64_t first = 0; first < chunks.total; first += chunks.most) {
    const int64_t rows = std::min(chunks.most, chunks.total - first);
    chunks.make_losses(first, rows);
    if (a.dx) chunks.make_dx(first, rows);
  }
  if (a.loss_total) chunks.sum(*a.loss_total, true);
  if (!a.loss_sum) return;
  Tensor here = cx.empty({1}, DType::f64);
  chunks.sum(here, false);
  *a.loss_sum = here.on(DeviceType::cpu).data<double>()[0];  // waits
}

}  // namespace lorikeet::cuda
