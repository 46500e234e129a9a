// Root-mean-square norm, forward and backward: y = x * rstd * weight, rstd = 1 / sqrt(mean(x^2) + eps).
//
// One block of 256 threads works on one row at a time and takes every gridDim.x-th row. A thread holds the elements
// c = threadIdx.x, + 256, ... of the row, so loads of neighbouring threads are neighbours; no alignment is assumed.
// Forward: pass 1 sums x^2 (block_sum), pass 2 writes y; thread 0 writes rstd.
// Backward, with g = dy * weight: dx = rstd * (g - x * rstd^2 * mean(g * x)); pass 1 sums g * x, pass 2 writes dx.
// Each element is read for the last time by the thread that writes it, after the row's sum is complete: y may be x and
// dx may be dy. Sums are f32 for f32 and f64 for f64, in a fixed order: the result is deterministic.
// Rows and their strides are 64-bit; a row may have up to 2^31 - 1 elements.
#include "core/base/error.h"
#include "cuda/device/reduce.cuh"
#include "cuda/ops/half_rows.h"
#include "cuda/ops/twins.h"

namespace lorikeet::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kLargestGrid = 1 << 16;  // more rows than this share blocks

__device__ inline float inverse_root(float v) { return 1.0f / sqrtf(v); }
__device__ inline double inverse_root(double v) { return 1.0 / sqrt(v); }

template <class T, class Y>
__global__ void rms_norm_kernel(const T* x, int64_t x_stride, const T* weight, Y* y, int64_t y_stride, T* rstd, int64_t rows, int width, T eps) {
  SharedMemory memory;
  const Shared<T> shared = memory.take<T>(kThreads / kWarpThreads);
  const int first = static_cast<int>(threadIdx.x);
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const T* in = x + row * x_stride;
    Y* out = y + row * y_stride;
    T sum = 0;
    for (int c = first; c < width; c += kThreads) sum += in[c] * in[c];
    sum = block_sum<kThreads>(sum, shared);
    const T scale = inverse_root(sum / static_cast<T>(width) + eps);
    for (int c = first; c < width; c += kThreads) out[c] = rounded<Y>(in[c] * scale * weight[c]);
    if (rstd && first == 0) rstd[row] = scale;
  }
}

template <class T>
__global__ void rms_norm_backward_kernel(const T* dy, int64_t dy_stride, const T* x, int64_t x_stride, const T* weight, const T* rstd, T* dx, int64_t dx_stride,
                                         int64_t rows, int width, bool accumulate) {
  SharedMemory memory;
  const Shared<T> shared = memory.take<T>(kThreads / kWarpThreads);
  const int first = static_cast<int>(threadIdx.x);
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const T *gradient = dy + row * dy_stride, *in = x + row * x_stride;
    T* out = dx + row * dx_stride;
    T sum = 0;
    for (int c = first; c < width; c += kThreads) sum += gradient[c] * weight[c] * in[c];
    sum = block_sum<kThreads>(sum, shared);
    const T scale = rstd[row], pull = scale * scale * (sum / static_cast<T>(width));
    for (int c = first; c < width; c += kThreads) out[c] = (accumulate ? out[c] : T(0)) + scale * (gradient[c] * weight[c] - in[c] * pull);
  }
}

int width_of(const Tensor& x) {
  if (x.width() > INT32_MAX) throw UnsupportedError("rms_norm: rows of " + std::to_string(x.width()) + " elements on cuda");
  return static_cast<int>(x.width());
}

template <class T, class Y>
void run(const RmsNormArgs& a) {
  const int64_t rows = a.x.rows();
  launch("rms_norm", &rms_norm_kernel<T, Y>, {blocks_for(rows, 1, kLargestGrid)}, kThreads, SharedSize().take<T>(kThreads / kWarpThreads).bytes, a.x.data<T>(),
         a.x.row_stride(), a.weight.data<T>(), static_cast<Y*>(a.y.raw()), a.y.row_stride(), a.rstd ? a.rstd->data<T>() : nullptr, rows, width_of(a.x), static_cast<T>(a.eps));
}

template <class T>
void run(const RmsNormBackwardArgs& a) {
  const int64_t rows = a.x.rows();
  launch("rms_norm_backward", &rms_norm_backward_kernel<T>, {blocks_for(rows, 1, kLargestGrid)}, kThreads, SharedSize().take<T>(kThreads / kWarpThreads).bytes,
         a.dy.data<T>(), a.dy.row_stride(), a.x.data<T>(), a.x.row_stride(), a.weight.data<T>(), a.rstd.data<T>(), a.dx.data<T>(), a.dx.row_stride(), rows,
         width_of(a.x), a.accumulate);
}

}  // namespace

void rms_norm(Context&, const RmsNormArgs& a) {
  if (a.x.size() == 0) return;
  if (a.x.dtype() == DType::f64) run<double, double>(a);
  else if (is_half_row(a.y.dtype())) by_half_row(a.y.dtype(), [&](auto row) { run<float, decltype(row)>(a); });
  else run<float, float>(a);
}

void rms_norm_backward(Context&, const RmsNormBackwardArgs& a) {
  if (a.x.size() == 0) return;
  if (a.x.dtype() == DType::f64) run<double>(a);
  else run<float>(a);
}

}  // namespace lorikeet::cuda
