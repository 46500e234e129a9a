// Layer norm, forward and backward: y = (x - mean) * rstd * weight + bias, rstd = 1 / sqrt(mean((x - mean)^2) + eps).
//
// One block of 256 threads works on one row at a time and takes every gridDim.x-th row. A thread holds the elements
// c = threadIdx.x, + 256, ... of the row, so loads of neighbouring threads are neighbours; no alignment is assumed.
// Forward: pass 1 sums x - x[0], so that a large mean takes no digits from the sum; pass 2 sums (x - mean)^2; pass 3 writes
// y; thread 0 writes mean and rstd.
// Backward, with g = dy * weight and h = (x - mean) * rstd: dx = rstd * (g - mean(g) - h * mean(g * h)); pass 1 sums g and
// g * (x - mean), pass 2 writes dx.
// Each element is read for the last time by the thread that writes it, after the row's sums are complete: y may be x and
// dx may be dy. Sums are f32 for f32 and f64 for f64, in a fixed order: the result is deterministic.
// Rows and their strides are 64-bit; a row may have up to 2^31 - 1 elements.
#include "core/base/error.h"
#include "cuda/device/reduce.cuh"
#include "cuda/ops/twins.h"

namespace lorikeet::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kLargestGrid = 1 << 16;  // more rows than this share blocks

__device__ inline float inverse_root(float v) { return 1.0f / sqrtf(v); }
__device__ inline double inverse_root(double v) { return 1.0 / sqrt(v); }

template <class T, class Y>
__global__ void layer_norm_kernel(const T* x, int64_t x_stride, const T* weight, const T* bias, Y* y, int64_t y_stride, T* means, T* rstd, int64_t rows, int width, T eps) {
  SharedMemory memory;
  const Shared<T> shared = memory.take<T>(kThreads / kWarpThreads);
  const int first = static_cast<int>(threadIdx.x);
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const T* in = x + row * x_stride;
    Y* out = y + row * y_stride;
    const T about = in[0];
    T sum = 0;
    for (int c = first; c < width; c += kThreads) sum += in[c] - about;
    const T mean = about + block_sum<kThreads>(sum, shared) / static_cast<T>(width);
    T squares = 0;
    for (int c = first; c < width; c += kThreads) squares += (in[c] - mean) * (in[c] - mean);
    const T scale = inverse_root(block_sum<kThreads>(squares, shared) / static_cast<T>(width) + eps);
    for (int c = first; c < width; c += kThreads) out[c] = rounded<Y>((in[c] - mean) * scale * weight[c] + (bias ? bias[c] : T(0)));
    if (rstd && first == 0) {
      means[row] = mean;
      rstd[row] = scale;
    }
  }
}

template <class T>
struct Gradient {
  const T *dy, *x, *weight, *means, *rstd;
  T* dx;
  int64_t dy_stride, x_stride, dx_stride;
};

template <class T>
__global__ void layer_norm_backward_kernel(Gradient<T> g, int64_t rows, int width, bool accumulate) {
  SharedMemory memory;
  const Shared<T> shared = memory.take<T>(kThreads / kWarpThreads);
  const int first = static_cast<int>(threadIdx.x);
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const T *gradient = g.dy + row * g.dy_stride, *in = g.x + row * g.x_stride;
    T* out = g.dx + row * g.dx_stride;
    const T mean = g.means[row], scale = g.rstd[row];
    T sum = 0, along = 0;
    for (int c = first; c < width; c += kThreads) {
      const T v = gradient[c] * g.weight[c];
      sum += v;
      along += v * (in[c] - mean);
    }
    const T level = block_sum<kThreads>(sum, shared) / static_cast<T>(width);
    const T pull = scale * scale * (block_sum<kThreads>(along, shared) / static_cast<T>(width));
    for (int c = first; c < width; c += kThreads)
      out[c] = (accumulate ? out[c] : T(0)) + scale * (gradient[c] * g.weight[c] - level - (in[c] - mean) * pull);
  }
}

int width_of(const Tensor& x) {
  if (x.width() > INT32_MAX) throw UnsupportedError("layer_norm: rows of " + std::to_string(x.width()) + " elements on cuda");
  return static_cast<int>(x.width());
}

template <class T, class Y>
void run(const LayerNormArgs& a) {
  const int64_t rows = a.x.rows();
  launch("layer_norm", &layer_norm_kernel<T, Y>, {blocks_for(rows, 1, kLargestGrid)}, kThreads, SharedSize().take<T>(kThreads / kWarpThreads).bytes, a.x.data<T>(),
         a.x.row_stride(), a.weight.data<T>(), a.bias ? a.bias->data<T>() : nullptr, static_cast<Y*>(a.y.raw()), a.y.row_stride(), a.mean ? a.mean->data<T>() : nullptr,
         a.rstd ? a.rstd->data<T>() : nullptr, rows, width_of(a.x), static_cast<T>(a.eps));
}

template <class T>
void run(const LayerNormBackwardArgs& a) {
  const int64_t rows = a.x.rows();
  const Gradient<T> g{a.dy.data<T>(), a.x.data<T>(), a.weight.data<T>(), a.mean.data<T>(), a.rstd.data<T>(), a.dx.data<T>(), a.dy.row_stride(), a.x.row_stride(), a.dx.row_stride()};
  launch("layer_norm_backward", &layer_norm_backward_kernel<T>, {blocks_for(rows, 1, kLargestGrid)}, kThreads, SharedSize().take<T>(kThreads / kWarpThreads).bytes, g, rows,
         width_of(a.x), a.accumulate);
}

}  // namespace

void layer_norm(Context&, const LayerNormArgs& a) {
  if (a.x.size() == 0) return;
  if (a.x.dtype() == DType::f64) run<double, double>(a);
  else if (a.y.dtype() == DType::bf16) run<float, Bf16>(a);
  else if (a.y.dtype() == DType::f16) run<float, Half>(a);
  else run<float, float>(a);
}

void layer_norm_backward(Context&, const LayerNormBackwardArgs& a) {
  if (a.x.size() == 0) return;
  if (a.x.dtype() == DType::f64) run<double>(a);
  else run<float>(a);
}

}  // namespace lorikeet::cuda
