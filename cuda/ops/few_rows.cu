// Few rows of activations against a stored weight (few_rows.h): every code is read once and decoded in registers.
//
// A warp takes two rows of the weight and all tokens; a lane takes every 32nd unit of eight columns, and reads the codes of
// four units of both rows before it decodes the first. Rows of x come from the cache: two rows of the weight share what is
// read of them. Sums are f32 over the lane's columns, then over the lanes, in a fixed order: deterministic. Columns are whole
// units and rows of x 16-byte aligned. Weights have the bits that the host decodes; they are not rounded to bf16.
#include "cuda/ops/few_rows.h"

#include "cuda/device/pack.cuh"
#include "cuda/device/reduce.cuh"
#include "cuda/ops/decode_coded.cuh"
#include "cuda/ops/decode_rows.cuh"
#include "cuda/ops/decode_stored.cuh"

namespace lorikeet::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarpThreads;
constexpr int kRowsOfWarp = 2, kAhead = 4;

struct FewOperands {
  const Bf16* x;
  int64_t x_stride;
  int tokens;
  int64_t rows, columns;  // of the weight
  void* y;
  int64_t y_stride;
  bool y_bf16, accumulate;
};

__device__ inline void put(const FewOperands& o, int64_t token, int64_t row, float sum) {
  const int64_t at = token * o.y_stride + row;
  if (o.y_bf16) {
    Bf16* y = static_cast<Bf16*>(o.y) + at;
    *y = bf16(o.accumulate ? f32(*y) + sum : sum);
  } else {
    float* y = static_cast<float*>(o.y) + at;
    *y = o.accumulate ? *y + sum : sum;
  }
}

template <class Source, int kTokens>
__global__ void __launch_bounds__(kThreads) few_rows_kernel(Source source, FewOperands o) {
  SharedMemory memory;
  const typename Source::Reader reader = source.open(memory);
  using Codes = decltype(reader.load(0));
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads, warp = static_cast<int>(threadIdx.x) / kWarpThreads;
  const int64_t row = (int64_t{blockIdx.x} * kWarps + warp) * kRowsOfWarp, units = o.columns / kUnit;
  float sums[kRowsOfWarp][kTokens] = {};
  for (int64_t first = lane; first < units; first += kWarpThreads * kAhead) {
    Codes codes[kAhead][kRowsOfWarp];
    LORIKEET_UNROLL
    for (int a = 0; a < kAhead; ++a)
      LORIKEET_UNROLL
      for (int r = 0; r < kRowsOfWarp; ++r)
        if (first + a * kWarpThreads < units && row + r < o.rows) codes[a][r] = reader.load((row + r) * units + first + a * kWarpThreads);
    LORIKEET_UNROLL
    for (int a = 0; a < kAhead; ++a) {
      const int64_t unit = first + a * kWarpThreads;
      if (unit >= units) continue;
      float w[kRowsOfWarp][kUnit] = {};
      LORIKEET_UNROLL
      for (int r = 0; r < kRowsOfWarp; ++r)
        if (row + r < o.rows) reader.decode(codes[a][r], (row + r) * units + unit, w[r]);
      LORIKEET_UNROLL
      for (int t = 0; t < kTokens; ++t) {
        if (t >= o.tokens) continue;
        const auto x = load_pack<kUnit>(o.x + t * o.x_stride + unit * kUnit);
        LORIKEET_UNROLL
        for (int r = 0; r < kRowsOfWarp; ++r)
          LORIKEET_UNROLL
          for (int i = 0; i < kUnit; ++i) sums[r][t] += w[r][i] * f32(x.at[i]);
      }
    }
  }
  LORIKEET_UNROLL
  for (int r = 0; r < kRowsOfWarp; ++r)
    LORIKEET_UNROLL
    for (int t = 0; t < kTokens; ++t) {
      const float sum = warp_sum(sums[r][t]);
      if (lane == 0 && t < o.tokens && row + r < o.rows) put(o, t, row + r, sum);
    }
}

template <class Source>
void launch_few(const Source& source, const FewOperands& o) {
  const auto kernel = o.tokens == 1 ? &few_rows_kernel<Source, 1> : &few_rows_kernel<Source, static_cast<int>(kFewRows)>;
  constexpr int64_t kRowsOfBlock = kWarps * kRowsOfWarp;
  launch("multiply_few", kernel, {(o.rows + kRowsOfBlock - 1) / kRowsOfBlock}, kThreads, Source::shared().bytes, source, o);
}

}  // namespace

bool multiply_few(const DeviceWeight& w, const Tensor& x, Tensor& y, bool accumulate) {
  const int64_t tokens = x.dim(0), columns = w.columns();
  const bool aligned = reinterpret_cast<uintptr_t>(x.raw()) % 16 == 0 && (tokens == 1 || x.row_stride() % kUnit == 0);
  if (x.dtype() != DType::bf16 || tokens > kFewRows || columns % kUnit != 0 || !aligned || w.plain(DType::bf16)) return false;
  if (tokens == 0 || w.rows() == 0) return true;
  const FewOperands o{static_cast<const Bf16*>(x.raw()), x.row_stride(), static_cast<int>(tokens), w.rows(), columns, y.raw(), y.row_stride(), y.dtype() == DType::bf16, accumulate};
  if (w.ggml_type() >= 0)
    return by_stored_format(w.ggml_type(), [&](auto source) {
      source.data = w.stored().data<uint8_t>();
      launch_few(source, o);
    });
  switch (w.codes().bits) {
    case 2: launch_few(coded_source<2>(w.codes()), o); return true;
    case 3: launch_few(coded_source<3>(w.codes()), o); return true;
    case 4: launch_few(coded_source<4>(w.codes()), o); return true;
    case 8: launch_few(coded_source<8>(w.codes()), o); return true;
    default: return false;
  }
}

}  // namespace lorikeet::cuda
