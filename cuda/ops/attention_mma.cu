// Attention, forward, of bf16 (from sm_80 on) and f16 rows (from sm_75 on) on tensor cores, for heads of width 64, 96, 128
// and 256 whose rows start on 16 bytes. Blocks and online softmax as in Dao 2023, arXiv:2307.08691; documents as in attention.cu.
//
// A block of 4 warps owns 128 queries of one head (64 for width 256), a warp 32 (16) of them; of f16 up to
// width 128 8 warps own 16 each.
// Keys and values come in tiles of 64 (48 to 16 for wider heads): the values of a tile are copied while its scores are made,
// the keys of the next while its values are mixed (before sm_80 a copy is waited for where it is started). Scores are in
// units of the exponent to base 2; weights are summed in f32 and rounded for their product, as on the CPU. Tiles that a warp
// does not see are skipped, those it sees in part are masked. Blocks with the most keys start first. Sums are in a fixed
// order: the result is deterministic, and later tokens do not change it.
#include "core/base/error.h"
#include "cuda/ops/attention_tile.cuh"
#include "cuda/ops/half_rows.h"
#include "cuda/runtime/device.h"

namespace lorikeet::cuda {
namespace {

template <class T>
struct ForwardArgs {
  TensorRows<T> q, k, v;
  T* o;
  int64_t o_stride;
  float* lse;       // null: not wanted
  int64_t lse_stride;
  PackedDocuments documents;
  int rows, group;
  float scale, cap;  // cap 0: none
};

/// Online softmax of a warp's rows; a lane has parts of two rows of each strip.
template <int kStrips>
struct RunningSoftmax {
  float top[kStrips][2], sum[kStrips][2];  // the sum is of this lane's columns alone

  __device__ void clear() {
    LORIKEET_UNROLL
    for (int m = 0; m < kStrips; ++m)
      LORIKEET_UNROLL
      for (int h = 0; h < 2; ++h) {
        top[m][h] = -INFINITY;
        sum[m][h] = 0.0f;
      }
  }
  /// Scores become weights; `factor` puts them into units of the exponent to base 2. What was summed before is scaled to the new maximum.
  template <int kKeys, int kColumns>
  __device__ void weigh(Sums<kStrips, kKeys>& s, float factor, Sums<kStrips, kColumns>& out) {
    LORIKEET_UNROLL
    for (int m = 0; m < kStrips; ++m)
      LORIKEET_UNROLL
      for (int h = 0; h < 2; ++h) {
        float highest = top[m][h];
        LORIKEET_UNROLL
        for (int n = 0; n < kKeys; ++n) highest = fmaxf(highest, fmaxf(s.v[m][n][2 * h], s.v[m][n][2 * h + 1]));
        highest = fmaxf(highest, __shfl_xor_sync(kWholeWarp, highest, 1));
        highest = fmaxf(highest, __shfl_xor_sync(kWholeWarp, highest, 2));
        const float base = highest == -INFINITY ? 0.0f : highest * factor;  // a row may see nothing of its block's first tiles
        const float shrink = fast_exp2(top[m][h] * factor - base);
        float added = 0.0f;
        LORIKEET_UNROLL
        for (int n = 0; n < kKeys; ++n)
          LORIKEET_UNROLL
          for (int e = 2 * h; e < 2 * h + 2; ++e) {
            s.v[m][n][e] = fast_exp2(s.v[m][n][e] * factor - base);
            added += s.v[m][n][e];
          }
        sum[m][h] = sum[m][h] * shrink + added;
        top[m][h] = highest;
        LORIKEET_UNROLL
        for (int n = 0; n < kColumns; ++n)
          LORIKEET_UNROLL
          for (int e = 2 * h; e < 2 * h + 2; ++e) out.v[m][n][e] *= shrink;
      }
  }
};

template <class T, int kHeadDim>
struct ForwardShape {
  // f16: more warps with fewer registers each hide more of the loads where there are no asynchronous copies.
  static constexpr bool kHalf = std::is_same_v<T, Half>;
  static constexpr int kWarps = kHalf && kHeadDim <= 128 ? 8 : 4, kThreads = kWarps * kWarpThreads;
  static constexpr int kStrips = !kHalf && kHeadDim <= 128 ? 2 : 1;
  static constexpr int kKeys = kHeadDim <= 64 ? 64 : kHeadDim <= 128 ? 48 : kHalf ? 16 : 32;  // as registers and shared memory allow
  static constexpr int kWarpRows = kStrips * 16, kRows = kWarps * kWarpRows;
  static constexpr size_t shared_bytes() {
    SharedSize size;
    for (const int rows : {kRows, kKeys, kKeys}) size.take<T>(rows * kTileStride<kHeadDim>);
    size.take<int>(kRows);
    return size.bytes;
  }
};

/// Scores out of sight become -infinity. `row`: the lane's first row; first[r]: what row + r sees first.
template <int kStrips, int kKeys>
__device__ inline void hide(Sums<kStrips, kKeys>& s, int key, int row, const Shared<int>& first) {
  const int column = key + static_cast<int>(threadIdx.x) % 4 * 2;
  LORIKEET_UNROLL
  for (int m = 0; m < kStrips; ++m)
    LORIKEET_UNROLL
    for (int h = 0; h < 2; ++h) {
      const int from = first[m * 16 + h * 8], to = row + m * 16 + h * 8;
      LORIKEET_UNROLL
      for (int n = 0; n < kKeys; ++n)
        LORIKEET_UNROLL
        for (int e = 0; e < 2; ++e)
          if (column + n * 8 + e < from || column + n * 8 + e > to) s.v[m][n][2 * h + e] = -INFINITY;
    }
}

template <int kStrips, int kKeys>
__device__ inline void cap_scores(Sums<kStrips, kKeys>& s, float slope, float cap) {
  LORIKEET_UNROLL
  for (int m = 0; m < kStrips; ++m)
    LORIKEET_UNROLL
    for (int n = 0; n < kKeys; ++n)
      LORIKEET_UNROLL
      for (int e = 0; e < 4; ++e) s.v[m][n][e] = cap * fast_tanh(s.v[m][n][e] * slope);
}

/// Divides by the sums and writes the warp's rows by way of its part of the queries' tile, and their logarithms.
template <int kHeadDim, class T, int kStrips, int kColumns>
__device__ inline void finish(const ForwardArgs<T>& a, const RunningSoftmax<kStrips>& softmax, float factor, const Sums<kStrips, kColumns>& out, const Shared<T>& staging, int row,
                              int head) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads, g = lane / 4, t = lane % 4;
  const Shared<uint32_t> pairs = staging.template as<uint32_t>();
  __syncwarp();
  LORIKEET_UNROLL
  for (int m = 0; m < kStrips; ++m)
    LORIKEET_UNROLL
    for (int h = 0; h < 2; ++h) {
      float sum = softmax.sum[m][h];
      sum += __shfl_xor_sync(kWholeWarp, sum, 1);
      sum += __shfl_xor_sync(kWholeWarp, sum, 2);
      const float share = 1.0f / sum;
      const int r = m * 16 + h * 8 + g;
      LORIKEET_UNROLL
      for (int n = 0; n < kColumns; ++n) pairs[(r * kTileStride<kHeadDim> + n * 8) / 2 + t] = pair_of<T>(out.v[m][n][2 * h] * share, out.v[m][n][2 * h + 1] * share);
      if (a.lse && t == 0 && row + r < a.rows) a.lse[(row + r) * a.lse_stride + head] = softmax.top[m][h] * factor * kLn2 + logf(sum);
    }
  __syncwarp();
  constexpr int kPieces = kHeadDim / 8;
  for (int i = lane; i < kStrips * 16 * kPieces; i += kWarpThreads) {
    const int r = i / kPieces, c = i % kPieces;
    if (row + r >= a.rows) break;
    const uint4 piece = staging.template as<uint4>()[(r * kTileStride<kHeadDim>) / 8 + c];
    *reinterpret_cast<uint4*>(a.o + (row + r) * a.o_stride + head * kHeadDim + c * 8) = piece;
  }
}

template <int kHeadDim, class T>
__device__ inline void forward(const ForwardArgs<T>& a) {
  using Shape = ForwardShape<T, kHeadDim>;
  constexpr int kRows = Shape::kRows, kKeys = Shape::kKeys, kThreads = Shape::kThreads, kStrips = Shape::kStrips;
  const int head = static_cast<int>(blockIdx.x), begin = static_cast<int>(gridDim.y - 1 - blockIdx.y) * kRows, kv = head / a.group;
  const int mine = static_cast<int>(threadIdx.x) / kWarpThreads * Shape::kWarpRows, g = static_cast<int>(threadIdx.x) % kWarpThreads / 4;
  const HeadRows<T> keys = a.k.head(kv, kHeadDim), values = a.v.head(kv, kHeadDim);
  SharedMemory memory;
  const Shared<T> query_tile = memory.take<T>(kRows * kTileStride<kHeadDim>), key_tile = memory.take<T>(kKeys * kTileStride<kHeadDim>),
                  value_tile = memory.take<T>(kKeys * kTileStride<kHeadDim>);
  const Shared<int> first = memory.take<int>(kRows);

  int key = a.documents.first_key(begin);
  const int keys_end = min(begin + kRows, a.rows), last = keys_end - 1;
  copy_tile<kHeadDim, kRows, kThreads>(query_tile, a.q.head(head, kHeadDim), begin, last);
  copy_tile<kHeadDim, kKeys, kThreads>(key_tile, keys, key, last);
  commit_copies();
  for (int r = static_cast<int>(threadIdx.x); r < kRows; r += kThreads) first[r] = begin + r < a.rows ? a.documents.first_key(begin + r) : INT32_MAX;

  constexpr bool kKept = kHeadDim <= 64;  // as registers allow
  OwnRows<T, kHeadDim, kStrips, kKept> queries(query_tile, mine);
  Sums<kStrips, kHeadDim / 8> out;
  RunningSoftmax<kStrips> softmax;
  out.clear();
  softmax.clear();
  wait_copies<0>();
  __syncthreads();
  queries.keep();
  const int warp_first = first[mine], warp_sees_all_from = first[mine + Shape::kWarpRows - 1];
  const float factor = (a.cap > 0.0f ? 1.0f : a.scale) * kLog2E;
  for (; key < keys_end; key += kKeys) {
    // Here the keys are there and nobody reads the values any more.
    copy_tile<kHeadDim, kKeys, kThreads>(value_tile, values, key, last);
    commit_copies();
    Sums<kStrips, kKeys / 8> s;
    const bool seen = key < begin + mine + Shape::kWarpRows && key + kKeys > warp_first;
    if (seen) queries.scores(key_tile, s);
    wait_copies<0>();
    __syncthreads();
    if (key + kKeys < keys_end) copy_tile<kHeadDim, kKeys, kThreads>(key_tile, keys, key + kKeys, last);
    commit_copies();
    if (seen) {
      if (a.cap > 0.0f) cap_scores(s, a.scale / a.cap, a.cap);
      if (key + kKeys - 1 > begin + mine || key < warp_sees_all_from) hide(s, key, begin + mine + g, first.from(mine + g));
      softmax.weigh(s, factor, out);
      mix<kHeadDim>(s, value_tile, 0, out);
    }
    wait_copies<0>();
    __syncthreads();
  }
  finish<kHeadDim>(a, softmax, factor, out, query_tile.from(mine * kTileStride<kHeadDim>), begin + mine, head);
}

template <class T, int kHeadDim>
__global__ void __launch_bounds__(ForwardShape<T, kHeadDim>::kThreads) attention_mma_kernel(ForwardArgs<T> a) {
  if constexpr (kOnTensorCores<T>) forward<kHeadDim>(a);
  else not_for_this_card();
}

template <int kHeadDim, class T>
void start(const ForwardArgs<T>& a, int64_t heads) {
  using Shape = ForwardShape<T, kHeadDim>;
  static_assert(kFits<T, Shape>);
  launch("attention_mma", &attention_mma_kernel<T, kHeadDim>, {heads, blocks_for(a.rows, Shape::kRows)}, Shape::kThreads, Shape::shared_bytes(), a);
}

template <class T>
bool run(const AttentionArgs& a) {
  const AttentionShape& s = a.shape;
  const int64_t rows = a.q.rows();
  const ForwardArgs<T> b{tensor_rows<T>(a.q), tensor_rows<T>(a.k), tensor_rows<T>(a.v), static_cast<T*>(a.o.raw()), a.o.row_stride(), a.lse ? a.lse->data<float>() : nullptr,
                      a.lse ? a.lse->row_stride() : 0, packed_documents(a.document_starts, s, rows), static_cast<int>(rows), static_cast<int>(s.heads / s.kv_heads),
                      static_cast<float>(s.scale), static_cast<float>(s.soft_cap)};
  switch (s.head_dim) {
    case 64: start<64>(b, s.heads); return true;
    case 96: start<96>(b, s.heads); return true;
    case 128: start<128>(b, s.heads); return true;
    case 256: start<256>(b, s.heads); return true;
    default: return false;
  }
}

}  // namespace

bool tensor_cores_take(DType type) { return type == DType::f16 || compute_capability() >= 80; }

bool attention_mma(Context&, const AttentionArgs& a) {
  for (const Tensor* t : {&a.q, &a.k, &a.v, static_cast<const Tensor*>(&a.o)})
    if (!fit_for_tiles(*t)) return false;
  if (!tensor_cores_take(a.q.dtype()) || a.q.rows() > 65535 * 64) return false;
  return by_half_row(a.q.dtype(), [&](auto row) { return run<decltype(row)>(a); });
}

}  // namespace lorikeet::cuda
