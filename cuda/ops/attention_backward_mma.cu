// Attention's gradient of bf16 (from sm_80 on) and f16 rows (from sm_75 on) on tensor cores, for heads of width 64, 96, 128
// and, of bf16, 256 whose rows start on 16 bytes. Formulas and owners of the output as in attention_backward.cu:
// deterministic, no atomics.
//
// dq: a block of 4 warps owns 64 queries of one head, a warp 16. Tiles of keys and values (double-buffered) give scores and
// their gradients, which are mixed with the keys. Queries and output gradients stay in registers up to width 128.
// dk, dv: a block owns 64 keys of one key/value head (32 for width 256), a warp 16 of them, and meets tiles of queries and
// output gradients (double-buffered) of each head of its group. Scores are made turned, keys by queries, so that weights
// and gradients are at once the rows of the next product. Width 256: two warps share 16 keys and keep half the columns each.
// Weights and score gradients are rounded to the type of the rows before their products, as on the CPU; sums are f32. Tiles
// that a warp does not see are skipped, those it sees in part are masked.
#include <algorithm>

#include "core/base/error.h"
#include "cuda/ops/attention_tile.cuh"
#include "cuda/ops/half_rows.h"
#include "cuda/runtime/device.h"

namespace lorikeet::cuda {
namespace {

constexpr int kScratch = 1;  // slot; 0 holds the row sums

struct GradientRows {
  float* data;
  int64_t stride;
};
GradientRows gradient_rows(Tensor& t) { return {t.data<float>(), t.row_stride()}; }

template <class T>
struct BackwardArgs {
  TensorRows<T> d_o, q, k, v;
  GradientRows dq, dk, dv;
  int64_t part;         // numbers between the parts of dk and dv
  RowSums<float> sums;  // logarithms to base 2
  PackedDocuments documents;
  int rows, group, heads_of_block;
  float scale, cap;     // cap 0: none
};

/// Scores to base 2 from dots; capped ones carry their slope into ds = dP - D.
template <int kColumns>
__device__ inline void cap_scores(Sums<1, kColumns>& s, Sums<1, kColumns>& ds, float scale, float cap) {
  LORIKEET_UNROLL
  for (int n = 0; n < kColumns; ++n)
    LORIKEET_UNROLL
    for (int e = 0; e < 4; ++e) {
      const float t = fast_tanh(s.v[0][n][e] * (scale / cap));
      s.v[0][n][e] = cap * t;
      ds.v[0][n][e] *= 1.0f - t * t;
    }
}

/// Adds rows of sums, times `scale`, to memory: the lane's first row is `row`, its first column `column`.
template <int kColumns>
__device__ inline void store_rows(const Sums<1, kColumns>& sums, float scale, const GradientRows& to, int row, int rows, int64_t column) {
  LORIKEET_UNROLL
  for (int h = 0; h < 2; ++h) {
    if (row + h * 8 >= rows) continue;
    float* out = to.data + (row + h * 8) * to.stride + column;
    LORIKEET_UNROLL
    for (int n = 0; n < kColumns; ++n) {
      out[n * 8] = sums.v[0][n][2 * h] * scale;
      out[n * 8 + 1] = sums.v[0][n][2 * h + 1] * scale;
    }
  }
}

/// Rows of tiles that come in turn; what f16 rows have room for is kTuringSharedBytes.
template <class T, int kHeadDim>
constexpr int kTurnRows = kHeadDim <= 64 ? 64 : kHeadDim <= (std::is_same_v<T, Half> ? 96 : 128) ? 32 : 16;

template <class T, int kHeadDim>
struct QueryShape {
  static constexpr int kWarps = 4, kThreads = kWarps * kWarpThreads, kRows = kWarps * 16;
  static constexpr int kKeys = kTurnRows<T, kHeadDim>;
  static constexpr int kTile = kKeys * kTileStride<kHeadDim>;
  static constexpr size_t shared_bytes() {
    SharedSize size;
    for (const int numbers : {kRows * kTileStride<kHeadDim>, kRows * kTileStride<kHeadDim>, 4 * kTile}) size.take<T>(numbers);
    return size.bytes;
  }
};

template <int kHeadDim, class T>
__device__ inline void query_gradient(const BackwardArgs<T>& a) {
  using Shape = QueryShape<T, kHeadDim>;
  constexpr int kRows = Shape::kRows, kKeys = Shape::kKeys, kThreads = Shape::kThreads, kTile = Shape::kTile;
  const int head = static_cast<int>(blockIdx.x), begin = static_cast<int>(gridDim.y - 1 - blockIdx.y) * kRows, kv = head / a.group;
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads, mine = static_cast<int>(threadIdx.x) / kWarpThreads * 16, row = begin + mine + lane / 4;
  const HeadRows<T> keys = a.k.head(kv, kHeadDim), values = a.v.head(kv, kHeadDim);
  SharedMemory memory;
  const Shared<T> query_tile = memory.take<T>(kRows * kTileStride<kHeadDim>), out_tile = memory.take<T>(kRows * kTileStride<kHeadDim>);
  const Shared<T> tiles = memory.take<T>(4 * kTile);
  const int keys_end = min(begin + kRows, a.rows), last = keys_end - 1;
  int key = a.sums.first[begin];
  copy_tile<kHeadDim, kRows, kThreads>(query_tile, a.q.head(head, kHeadDim), begin, last);
  copy_tile<kHeadDim, kRows, kThreads>(out_tile, a.d_o.head(head, kHeadDim), begin, last);
  copy_tile<kHeadDim, kKeys, kThreads>(tiles, keys, key, last);
  copy_tile<kHeadDim, kKeys, kThreads>(tiles.from(kTile), values, key, last);
  commit_copies();

  int first[2];
  float lse[2], delta[2];
  LORIKEET_UNROLL
  for (int h = 0; h < 2; ++h) {
    const int r = min(row + h * 8, last);
    first[h] = row + h * 8 < a.rows ? a.sums.first[r] : INT32_MAX;
    lse[h] = a.sums.lse[static_cast<int64_t>(head) * a.rows + r];
    delta[h] = a.sums.delta[static_cast<int64_t>(head) * a.rows + r];
  }
  const int warp_first = __shfl_sync(kWholeWarp, first[0], 0), warp_sees_all_from = __shfl_sync(kWholeWarp, first[1], kWarpThreads - 1);
  const float factor = (a.cap > 0.0f ? 1.0f : a.scale) * kLog2E;
  constexpr bool kKept = kHeadDim <= 128;  // as registers allow
  OwnRows<T, kHeadDim, 1, kKept> queries(query_tile, mine), outs(out_tile, mine);
  Sums<1, kHeadDim / 8> dq;
  dq.clear();
  wait_copies<0>();
  __syncthreads();
  queries.keep();
  outs.keep();
  for (int buffer = 0; key < keys_end; key += kKeys, buffer ^= 1) {
    wait_copies<0>();
    __syncthreads();  // this tile is there, and nobody reads the other any more
    if (key + kKeys < keys_end) {
      copy_tile<kHeadDim, kKeys, kThreads>(tiles.from((buffer ^ 1) * 2 * kTile), keys, key + kKeys, last);
      copy_tile<kHeadDim, kKeys, kThreads>(tiles.from((buffer ^ 1) * 2 * kTile + kTile), values, key + kKeys, last);
      commit_copies();
    }
    if (key >= begin + mine + 16 || key + kKeys <= warp_first) continue;
    const Shared<T> key_tile = tiles.from(buffer * 2 * kTile);
    Sums<1, kKeys / 8> s, ds;
    queries.scores(key_tile, s);
    outs.scores(key_tile.from(kTile), ds);
    LORIKEET_UNROLL
    for (int n = 0; n < kKeys / 8; ++n)
      LORIKEET_UNROLL
      for (int e = 0; e < 4; ++e) ds.v[0][n][e] -= delta[e / 2];
    if (a.cap > 0.0f) cap_scores(s, ds, a.scale, a.cap);
    if (key + kKeys - 1 > begin + mine || key < warp_sees_all_from) {
      const int column = key + lane % 4 * 2;
      LORIKEET_UNROLL
      for (int n = 0; n < kKeys / 8; ++n)
        LORIKEET_UNROLL
        for (int e = 0; e < 4; ++e)
          if (column + n * 8 + e % 2 < first[e / 2] || column + n * 8 + e % 2 > row + e / 2 * 8) s.v[0][n][e] = -INFINITY;
    }
    LORIKEET_UNROLL
    for (int n = 0; n < kKeys / 8; ++n)
      LORIKEET_UNROLL
      for (int e = 0; e < 4; ++e) ds.v[0][n][e] *= fast_exp2(s.v[0][n][e] * factor - lse[e / 2]);
    mix<kHeadDim>(ds, key_tile, 0, dq);
  }
  store_rows(dq, a.scale, a.dq, row, a.rows, head * kHeadDim + lane % 4 * 2);
}

template <class T, int kHeadDim>
__global__ void __launch_bounds__(QueryShape<T, kHeadDim>::kThreads) attention_dq_mma_kernel(BackwardArgs<T> a) {
  if constexpr (kOnTensorCores<T>) query_gradient<kHeadDim>(a);
  else not_for_this_card();
}

template <class T, int kHeadDim>
struct KeyShape {
  static constexpr int kParts = kHeadDim > 128 ? 2 : 1;  // warps that share their keys
  static constexpr int kKeyWarps = kHeadDim > 128 ? 2 : 4, kThreads = kParts * kKeyWarps * kWarpThreads, kRows = kKeyWarps * 16;
  static constexpr int kQueries = kTurnRows<T, kHeadDim>;
  static constexpr int kTile = kQueries * kTileStride<kHeadDim>;
  static constexpr size_t shared_bytes() {
    SharedSize size;
    for (const int numbers : {kRows * kTileStride<kHeadDim>, kRows * kTileStride<kHeadDim>, 4 * kTile}) size.take<T>(numbers);
    size.take<float>(4 * kQueries);
    size.take<int>(2 * kQueries);
    return size.bytes;
  }
};

/// What a block that owns keys needs of a tile of queries, in shared memory; two tiles in turn.
template <class T, int kHeadDim>
struct QueryTiles {
  using Shape = KeyShape<T, kHeadDim>;
  Shared<T> tiles;
  Shared<float> sums;   // per tile [logarithms, D]
  Shared<int> first;

  __device__ void copy(const BackwardArgs<T>& a, int buffer, int head, int query) const {
    copy_tile<kHeadDim, Shape::kQueries, Shape::kThreads>(queries(buffer), a.q.head(head, kHeadDim), query, a.rows - 1);
    copy_tile<kHeadDim, Shape::kQueries, Shape::kThreads>(outs(buffer), a.d_o.head(head, kHeadDim), query, a.rows - 1);
    for (int i = static_cast<int>(threadIdx.x); i < Shape::kQueries; i += Shape::kThreads) {
      const int row = min(query + i, a.rows - 1);
      const int64_t at = static_cast<int64_t>(head) * a.rows + row;
      copy_async_4(sums, buffer * 2 * Shape::kQueries + i, a.sums.lse + at);
      copy_async_4(sums, (buffer * 2 + 1) * Shape::kQueries + i, a.sums.delta + at);
      copy_async_4(first, buffer * Shape::kQueries + i, a.sums.first + row);
    }
    commit_copies();
  }
  __device__ Shared<T> queries(int buffer) const { return tiles.from(buffer * 2 * Shape::kTile); }
  __device__ Shared<T> outs(int buffer) const { return tiles.from((buffer * 2 + 1) * Shape::kTile); }
};

template <int kHeadDim, class T>
__device__ inline void key_gradients(const BackwardArgs<T>& a) {
  using Shape = KeyShape<T, kHeadDim>;
  constexpr int kRows = Shape::kRows, kQueries = Shape::kQueries, kThreads = Shape::kThreads, kColumns = kHeadDim / Shape::kParts;
  const int kv = static_cast<int>(blockIdx.x), begin = static_cast<int>(blockIdx.y) * kRows;
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads, warp = static_cast<int>(threadIdx.x) / kWarpThreads;
  const int mine = warp % Shape::kKeyWarps * 16, from_column = warp / Shape::kKeyWarps * kColumns, row = begin + mine + lane / 4;
  SharedMemory memory;
  const Shared<T> key_tile = memory.take<T>(kRows * kTileStride<kHeadDim>), value_tile = memory.take<T>(kRows * kTileStride<kHeadDim>);
  const Shared<T> tiles = memory.take<T>(4 * Shape::kTile);
  const Shared<float> query_sums = memory.take<float>(4 * kQueries);
  const QueryTiles<T, kHeadDim> other{tiles, query_sums, memory.take<int>(2 * kQueries)};
  const int queries_end = a.documents.queries_end(min(begin + kRows, a.rows) - 1), part = static_cast<int>(blockIdx.z);
  int head = kv * a.group + part * a.heads_of_block, query = begin;
  const int heads_end = min(head + a.heads_of_block, (kv + 1) * a.group);
  copy_tile<kHeadDim, kRows, kThreads>(key_tile, a.k.head(kv, kHeadDim), begin, a.rows - 1);
  copy_tile<kHeadDim, kRows, kThreads>(value_tile, a.v.head(kv, kHeadDim), begin, a.rows - 1);
  other.copy(a, 0, head, query);

  const float factor = (a.cap > 0.0f ? 1.0f : a.scale) * kLog2E;
  constexpr bool kKept = kHeadDim <= 64;  // as registers allow
  OwnRows<T, kHeadDim, 1, kKept> keys(key_tile, mine), values(value_tile, mine);
  Sums<1, kColumns / 8> dk, dv;
  dk.clear();
  dv.clear();
  wait_copies<0>();
  __syncthreads();
  keys.keep();
  values.keep();
  for (int buffer = 0; head < heads_end; buffer ^= 1) {
    wait_copies<0>();
    __syncthreads();  // this tile is there, and nobody reads the other any more
    const int now = query;
    query += kQueries;
    if (query >= queries_end) {
      query = begin;
      ++head;
    }
    if (head < heads_end) other.copy(a, buffer ^ 1, head, query);
    const Shared<float> lse = other.sums.from(buffer * 2 * kQueries), delta = lse.from(kQueries);
    const Shared<int> first = other.first.from(buffer * kQueries);
    if (now + kQueries <= begin + mine || first[0] >= begin + mine + 16) continue;
    Sums<1, kQueries / 8> s, ds;
    keys.scores(other.queries(buffer), s);
    values.scores(other.outs(buffer), ds);
    const int pair = lane % 4 * 2;
    LORIKEET_UNROLL
    for (int n = 0; n < kQueries / 8; ++n)
      LORIKEET_UNROLL
      for (int e = 0; e < 2; ++e) {
        const float d = delta[n * 8 + pair + e];
        ds.v[0][n][e] -= d;
        ds.v[0][n][e + 2] -= d;
      }
    if (a.cap > 0.0f) cap_scores(s, ds, a.scale, a.cap);
    if (now < begin + mine + 15 || first[kQueries - 1] > begin + mine || now + kQueries > a.rows) {
      LORIKEET_UNROLL
      for (int n = 0; n < kQueries / 8; ++n)
        LORIKEET_UNROLL
        for (int e = 0; e < 4; ++e) {
          const int at = n * 8 + pair + e % 2, key = row + e / 2 * 8;
          if (key < first[at] || key > now + at || now + at >= a.rows) s.v[0][n][e] = -INFINITY;
        }
    }
    LORIKEET_UNROLL
    for (int n = 0; n < kQueries / 8; ++n)
      LORIKEET_UNROLL
      for (int e = 0; e < 2; ++e) {
        const float l = lse[n * 8 + pair + e];
        LORIKEET_UNROLL
        for (int i = e; i < 4; i += 2) {
          s.v[0][n][i] = fast_exp2(s.v[0][n][i] * factor - l);
          ds.v[0][n][i] *= s.v[0][n][i];
        }
      }
    mix<kHeadDim>(s, other.outs(buffer), from_column, dv);
    mix<kHeadDim>(ds, other.queries(buffer), from_column, dk);
  }
  const int64_t column = kv * kHeadDim + from_column + lane % 4 * 2;
  store_rows(dk, a.scale, {a.dk.data + part * a.part, a.dk.stride}, row, a.rows, column);
  store_rows(dv, 1.0f, {a.dv.data + part * a.part, a.dv.stride}, row, a.rows, column);
}

template <class T, int kHeadDim>
__global__ void __launch_bounds__(KeyShape<T, kHeadDim>::kThreads) attention_dkv_mma_kernel(BackwardArgs<T> a) {
  if constexpr (kOnTensorCores<T>) key_gradients<kHeadDim>(a);
  else not_for_this_card();
}

constexpr int kSumThreads = 256;

/// out = the sum of `parts` tensors of [rows, width].
__global__ void attention_sum_parts_kernel(const float* parts, int64_t part, int count, int64_t rows, int width, GradientRows out) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kSumThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kSumThreads + threadIdx.x; i < rows * width; i += step) {
    float sum = 0;
    for (int p = 0; p < count; ++p) sum += parts[p * part + i];
    out.data[i / width * out.stride + i % width] = sum;
  }
}

/// Heads of a group that a block of keys takes one after another: fewer while there are not some kWantedBlocks blocks. By
/// the sizes alone, so that the sums do not depend on the card; at most kMostParts parts, for their memory.
constexpr int64_t kWantedBlocks = 400, kMostParts = 8;
int64_t heads_of_block(int64_t group, int64_t blocks) {
  const int64_t parts = std::clamp<int64_t>((kWantedBlocks + blocks - 1) / blocks, 1, std::min(group, kMostParts));
  return (group + parts - 1) / parts;
}

/// Whether there are kernels for heads of width 256: tiles of f16 would not fit.
template <class T> constexpr bool kWide = !std::is_same_v<T, Half>;

template <int kHeadDim, class T>
void start_keys(Context& cx, BackwardArgs<T> a, int64_t kv_heads) {
  using Keys = KeyShape<T, kHeadDim>;
  static_assert(kFits<T, Keys>);
  const int64_t blocks = blocks_for(a.rows, Keys::kRows), heads = heads_of_block(a.group, kv_heads * blocks), parts = (a.group + heads - 1) / heads, width = kv_heads * kHeadDim;
  const GradientRows dk = a.dk, dv = a.dv;
  a.part = a.rows * width;
  a.heads_of_block = static_cast<int>(heads);
  if (parts > 1) {
    a.dk = {static_cast<float*>(cx.shared_scratch(kScratch, static_cast<size_t>(2 * parts * a.part) * sizeof(float))), width};
    a.dv = {a.dk.data + parts * a.part, width};
  }
  launch("attention_dkv_mma", &attention_dkv_mma_kernel<T, kHeadDim>, {kv_heads, blocks, parts}, Keys::kThreads, Keys::shared_bytes(), a);
  if (parts == 1) return;
  const Grid grid{blocks_for(a.part, kSumThreads)};
  launch("attention_sum_parts", &attention_sum_parts_kernel, grid, kSumThreads, 0, a.dk.data, a.part, static_cast<int>(parts), int64_t{a.rows}, static_cast<int>(width), dk);
  launch("attention_sum_parts", &attention_sum_parts_kernel, grid, kSumThreads, 0, a.dv.data, a.part, static_cast<int>(parts), int64_t{a.rows}, static_cast<int>(width), dv);
}

template <int kHeadDim, class T>
void start(Context& cx, const BackwardArgs<T>& a, int64_t heads) {
  using Queries = QueryShape<T, kHeadDim>;
  static_assert(kFits<T, Queries>);
  launch("attention_dq_mma", &attention_dq_mma_kernel<T, kHeadDim>, {heads, blocks_for(a.rows, Queries::kRows)}, Queries::kThreads, Queries::shared_bytes(), a);
  start_keys<kHeadDim>(cx, a, heads / a.group);
}

template <class T>
void run(Context& cx, const AttentionBackwardArgs& a) {
  const AttentionShape& s = a.shape;
  const int64_t rows = a.q.rows();
  const BackwardArgs<T> b{tensor_rows<T>(a.d_o), tensor_rows<T>(a.q), tensor_rows<T>(a.k), tensor_rows<T>(a.v), gradient_rows(a.dq), gradient_rows(a.dk), gradient_rows(a.dv), 0,
                       row_sums<T>(cx, a, kLog2E), packed_documents(a.document_starts, s, rows), static_cast<int>(rows), static_cast<int>(s.heads / s.kv_heads), 0,
                       static_cast<float>(s.scale), static_cast<float>(s.soft_cap)};
  switch (s.head_dim) {
    case 64: start<64>(cx, b, s.heads); break;
    case 96: start<96>(cx, b, s.heads); break;
    case 128: start<128>(cx, b, s.heads); break;
    default:
      if constexpr (kWide<T>) start<256>(cx, b, s.heads);
  }
}

}  // namespace

bool attention_backward_mma(Context& cx, const AttentionBackwardArgs& a) {
  const int64_t width = a.shape.head_dim;
  const bool wide = width == 256 && by_half_row(a.q.dtype(), [](auto row) { return kWide<decltype(row)>; });
  if (width != 64 && width != 96 && width != 128 && !wide) return false;
  for (const Tensor* t : {&a.q, &a.k, &a.v, &a.d_o})
    if (!fit_for_tiles(*t)) return false;
  if (!tensor_cores_take(a.q.dtype()) || a.q.rows() > 65535 * 32) return false;
  by_half_row(a.q.dtype(), [&](auto row) { run<decltype(row)>(cx, a); });
  return true;
}

}  // namespace lorikeet::cuda
