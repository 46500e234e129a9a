// Keys and values kept for generation: rounding new rows into a store of bf16 or i8, and widening its rows again.
//
// i8: a warp takes one head of one row; its lanes find the largest magnitude together, then round each value to a multiple
// of a 127th of it, to nearest even, as the CPU does (bit for bit). bf16 and widening: a thread an element, in the grid's stride.
#include "cuda/device/reduce.cuh"
#include "cuda/ops/twins.h"

namespace lorikeet::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarpThreads;
constexpr float kLargestCode = 127.0f;
constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding and subtracting rounds to nearest even

struct Codes {
  int8_t* rows;
  int64_t stride;
  float* scales;
  int64_t scales_stride;
  int heads, head_dim;
};

__global__ void round_to_int8(const float* fresh, int64_t fresh_stride, Codes store, int64_t at, int64_t rows) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads, warp = static_cast<int>(threadIdx.x) / kWarpThreads;
  for (int64_t task = static_cast<int64_t>(blockIdx.x) * kWarps + warp; task < rows * store.heads; task += static_cast<int64_t>(gridDim.x) * kWarps) {
    const int64_t row = task / store.heads, head = task % store.heads;
    const float* x = fresh + row * fresh_stride + head * store.head_dim;
    float largest = 0;
    for (int i = lane; i < store.head_dim; i += kWarpThreads) largest = fmaxf(largest, fabsf(x[i]));
    largest = warp_max(largest);
    const float scale = __fdiv_rn(largest, kLargestCode), inverse = scale > 0 ? __fdiv_rn(1.0f, scale) : 0.0f;
    int8_t* out = store.rows + (at + row) * store.stride + head * store.head_dim;
    for (int i = lane; i < store.head_dim; i += kWarpThreads) {
      const float v = fminf(fmaxf(__fmul_rn(x[i], inverse), -kLargestCode), kLargestCode);
      out[i] = static_cast<int8_t>(__fadd_rn(__fadd_rn(v, kRound), -kRound));
    }
    if (lane == 0) store.scales[(at + row) * store.scales_stride + head] = scale;
  }
}

__global__ void round_to_bf16(const float* fresh, int64_t fresh_stride, Bf16* out, int64_t stride, int64_t rows, int width) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < rows * width; i += step) out[i / width * stride + i % width] = bf16(fresh[i / width * fresh_stride + i % width]);
}

template <bool kInt8>
__global__ void widen_rows(const void* rows, int64_t stride, const float* scales, int64_t scales_stride, int head_dim, float* out, int64_t out_stride, int64_t count, int width) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < count * width; i += step) {
    const int64_t row = i / width;
    const int column = static_cast<int>(i % width);
    if constexpr (kInt8)
      out[row * out_stride + column] = static_cast<float>(static_cast<const int8_t*>(rows)[row * stride + column]) * scales[row * scales_stride + column / head_dim];
    else
      out[row * out_stride + column] = f32(static_cast<const Bf16*>(rows)[row * stride + column]);
  }
}

void round_rows(Context&, KvStore& store, int64_t at, const Tensor& fresh) {
  const int64_t rows = fresh.rows(), width = fresh.width();
  if (fresh.size() == 0) return;
  if (store.rows.dtype() == DType::bf16) {
    launch("kv_round_bf16", &round_to_bf16, {blocks_for(rows * width, kThreads)}, kThreads, 0, fresh.data<float>(), fresh.row_stride(),
           static_cast<Bf16*>(store.rows.raw()) + at * store.rows.row_stride(), store.rows.row_stride(), rows, static_cast<int>(width));
    return;
  }
  const int64_t heads = store.scales.width();
  const Codes codes{static_cast<int8_t*>(store.rows.raw()), store.rows.row_stride(), store.scales.data<float>(), store.scales.row_stride(), static_cast<int>(heads), static_cast<int>(width / heads)};
  launch("kv_round_int8", &round_to_int8, {blocks_for(rows * heads, kWarps)}, kThreads, 0, fresh.data<float>(), fresh.row_stride(), codes, at, rows);
}

void widen(Context&, const KvStore& store, Tensor& out) {
  const int64_t rows = out.rows(), width = out.width();
  if (out.size() == 0) return;
  const bool int8 = store.rows.dtype() == DType::i8;
  launch("kv_widen", int8 ? &widen_rows<true> : &widen_rows<false>, {blocks_for(rows * width, kThreads)}, kThreads, 0, store.rows.raw(), store.rows.row_stride(),
         int8 ? store.scales.data<float>() : nullptr, int8 ? store.scales.row_stride() : 0, int8 ? static_cast<int>(width / store.scales.width()) : 1, out.data<float>(), out.row_stride(), rows,
         static_cast<int>(width));
}

}  // namespace

const KvStoreKernels kKvStore = {&round_rows, &widen};

}  // namespace lorikeet::cuda
