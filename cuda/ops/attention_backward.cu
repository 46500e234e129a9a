// Attention's gradient for any type and head width up to 256; 16-bit rows of the usual widths go to attention_backward_mma.cu
// where the card has the instructions.
//
// Scores are computed again tile by tile, P = exp(S - LSE), and with D = sum(dO O) dS = P (dO v - D), for capped scores
// times the cap's slope (Dao 2023, arXiv:2307.08691). Every output element has one owner, so nothing is added by atomics
// and the result is deterministic:
//   row sums: a warp makes D and LSE, head by head, and the first key of one row;
//   dq:       a block of 4 warps owns 8 queries of one head, a warp 2, and walks over the keys they see;
//   dk, dv:   a block owns 8 keys of one key/value head and walks over the queries of each head of its group.
// Sums in f32 (f64 for f64). No alignment is assumed.
#include "core/base/error.h"
#include "cuda/ops/attention_general.cuh"
#include "cuda/ops/half_rows.h"
#include "cuda/ops/twins.h"

namespace lorikeet::cuda {
namespace {

constexpr int kOwn = 2;  // rows of a warp
constexpr int kBlockRows = kOwn * kGeneralWarps;
constexpr int kScratch = 0;  // slot
constexpr int kSumThreads = 256;

template <class T>
struct BackwardArgs {
  Rows<const T> d_o, q, k, v;
  Rows<Sum<T>> dq, dk, dv;
  RowSums<Sum<T>> sums;
  PackedDocuments documents;
  int rows, group, head_dim;
  ScoreRule<Sum<T>> rule;
};

template <class T>
__global__ void attention_row_sums_kernel(Rows<const T> d_o, Rows<const T> o, Rows<const Sum<T>> lse, PackedDocuments documents, int rows, int heads, int head_dim,
                                          Sum<T> lse_factor, RowSums<Sum<T>> out) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads, warp = static_cast<int>(threadIdx.x) / kWarpThreads;
  const int row = static_cast<int>(blockIdx.x) * (kSumThreads / kWarpThreads) + warp;
  if (row >= rows) return;
  if (lane == 0) out.first[row] = documents.first_key(row);
  for (int head = 0; head < heads; ++head) {
    const T *g = d_o.at(row, head, head_dim), *y = o.at(row, head, head_dim);
    Sum<T> sum = 0;
    for (int c = lane; c < head_dim; c += kWarpThreads) sum += widened(g[c]) * widened(y[c]);
    sum = warp_sum(sum);
    if (lane != 0) continue;
    out.delta[static_cast<int64_t>(head) * rows + row] = sum;
    out.lse[static_cast<int64_t>(head) * rows + row] = *lse.at(row, head, 1) * lse_factor;
  }
}

/// From dots q k and dO v of a pair that may see each other: the weight and the gradient of the dot.
template <class S>
__device__ inline void gradient(const ScoreRule<S>& rule, bool seen, S lse, S delta, S& score, S& d_weight) {
  const S capped = rule(score);
  score = seen ? exp(capped - lse) : S(0);
  d_weight = seen ? score * (d_weight - delta) * rule.slope(capped) : S(0);
}

template <class T, int kColumns>
__global__ void attention_dq_kernel(BackwardArgs<T> a) {
  using S = Sum<T>;
  const int head = static_cast<int>(blockIdx.x), begin = static_cast<int>(gridDim.y - 1 - blockIdx.y) * kBlockRows, kv = head / a.group, d = a.head_dim;
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads, mine = static_cast<int>(threadIdx.x) / kWarpThreads * kOwn;
  SharedMemory memory;
  const Shared<S> queries = memory.take<S>(kBlockRows * d), outs = memory.take<S>(kBlockRows * d), tile = memory.take<S>(kTileRows * tile_stride(d));
  load_rows(queries, d, a.q, begin, kBlockRows, a.rows, head, d);
  load_rows(outs, d, a.d_o, begin, kBlockRows, a.rows, head, d);
  S out[kOwn][kColumns] = {}, lse[kOwn] = {}, delta[kOwn] = {};
  int first[kOwn];
  for (int i = 0; i < kOwn; ++i) {
    const int row = begin + mine + i;
    first[i] = INT32_MAX;
    if (row >= a.rows) continue;
    first[i] = a.sums.first[row];
    lse[i] = a.sums.lse[static_cast<int64_t>(head) * a.rows + row];
    delta[i] = a.sums.delta[static_cast<int64_t>(head) * a.rows + row];
  }
  const int keys_end = min(begin + kBlockRows, a.rows);
  for (int key = a.sums.first[begin]; key < keys_end; key += kTileRows) {
    S score[kOwn], ds[kOwn];
    __syncthreads();
    load_rows(tile, tile_stride(d), a.v, key, kTileRows, keys_end, kv, d);
    __syncthreads();
    dots(outs.from(mine * d), tile, d, ds);
    __syncthreads();
    load_rows(tile, tile_stride(d), a.k, key, kTileRows, keys_end, kv, d);
    __syncthreads();
    dots(queries.from(mine * d), tile, d, score);
    for (int i = 0; i < kOwn; ++i) gradient(a.rule, key + lane >= first[i] && key + lane <= begin + mine + i, lse[i], delta[i], score[i], ds[i]);
    mix(ds, tile, d, out);
  }
  for (int i = 0; i < kOwn; ++i)
    for (int c = 0; c < kColumns; ++c)
      if (begin + mine + i < a.rows && lane + c * kWarpThreads < d) a.dq.at(begin + mine + i, head, d)[lane + c * kWarpThreads] = out[i][c] * a.rule.scale;
}

template <class T, int kColumns>
__global__ void attention_dkv_kernel(BackwardArgs<T> a) {
  using S = Sum<T>;
  const int kv = static_cast<int>(blockIdx.x), begin = static_cast<int>(blockIdx.y) * kBlockRows, d = a.head_dim;
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads, mine = static_cast<int>(threadIdx.x) / kWarpThreads * kOwn;
  SharedMemory memory;
  const Shared<S> keys = memory.take<S>(kBlockRows * d), values = memory.take<S>(kBlockRows * d), tile = memory.take<S>(kTileRows * tile_stride(d));
  load_rows(keys, d, a.k, begin, kBlockRows, a.rows, kv, d);
  load_rows(values, d, a.v, begin, kBlockRows, a.rows, kv, d);
  S dk[kOwn][kColumns] = {}, dv[kOwn][kColumns] = {};
  const int queries_end = a.documents.queries_end(min(begin + kBlockRows, a.rows) - 1);
  for (int head = kv * a.group; head < (kv + 1) * a.group; ++head)
    for (int query = begin; query < queries_end; query += kTileRows) {
      S score[kOwn], ds[kOwn];
      __syncthreads();
      load_rows(tile, tile_stride(d), a.d_o, query, kTileRows, queries_end, head, d);
      __syncthreads();
      dots(values.from(mine * d), tile, d, ds);
      __syncthreads();
      load_rows(tile, tile_stride(d), a.q, query, kTileRows, queries_end, head, d);
      __syncthreads();
      dots(keys.from(mine * d), tile, d, score);
      const int row = query + lane, first = row < queries_end ? a.sums.first[row] : INT32_MAX;
      const int64_t at = static_cast<int64_t>(head) * a.rows + min(row, queries_end - 1);
      for (int i = 0; i < kOwn; ++i) gradient(a.rule, begin + mine + i >= first && begin + mine + i <= row, a.sums.lse[at], a.sums.delta[at], score[i], ds[i]);
      mix(ds, tile, d, dk);
      __syncthreads();
      load_rows(tile, tile_stride(d), a.d_o, query, kTileRows, queries_end, head, d);
      __syncthreads();
      mix(score, tile, d, dv);
    }
  for (int i = 0; i < kOwn; ++i)
    for (int c = 0; c < kColumns; ++c) {
      if (begin + mine + i >= a.rows || lane + c * kWarpThreads >= d) continue;
      a.dk.at(begin + mine + i, kv, d)[lane + c * kWarpThreads] = dk[i][c] * a.rule.scale;
      a.dv.at(begin + mine + i, kv, d)[lane + c * kWarpThreads] = dv[i][c];
    }
}

template <class T, int kColumns>
void start(const BackwardArgs<T>& a, int64_t heads) {
  const int own = kBlockRows * a.head_dim;
  const size_t shared = SharedSize().take<Sum<T>>(own).template take<Sum<T>>(own).template take<Sum<T>>(kTileRows * tile_stride(a.head_dim)).bytes;
  const int64_t blocks = blocks_for(a.rows, kBlockRows);
  if (blocks > 65535) throw UnsupportedError("attention_backward: " + std::to_string(a.rows) + " rows on cuda");
  launch("attention_dq", &attention_dq_kernel<T, kColumns>, {heads, blocks}, kGeneralThreads, shared, a);
  launch("attention_dkv", &attention_dkv_kernel<T, kColumns>, {heads / a.group, blocks}, kGeneralThreads, shared, a);
}

template <class T>
void run(Context& cx, const AttentionBackwardArgs& a) {
  const AttentionShape& s = a.shape;
  const int64_t rows = a.q.rows();
  const int head_dim = general_head_dim("attention_backward", s);
  const BackwardArgs<T> b{rows_of<T>(a.d_o), rows_of<T>(a.q), rows_of<T>(a.k), rows_of<T>(a.v), rows_of<Sum<T>>(a.dq), rows_of<Sum<T>>(a.dk), rows_of<Sum<T>>(a.dv),
                          row_sums<T>(cx, a, 1), packed_documents(a.document_starts, s, rows), static_cast<int>(rows), static_cast<int>(s.heads / s.kv_heads), head_dim,
                          score_rule<Sum<T>>(s)};
  if (head_dim <= 4 * kWarpThreads) start<T, 4>(b, s.heads);
  else start<T, 8>(b, s.heads);
}

}  // namespace

template <class T>
RowSums<Sum<T>> row_sums(Context& cx, const AttentionBackwardArgs& a, Sum<T> lse_factor) {
  using S = Sum<T>;
  const int64_t rows = a.q.rows(), heads = a.shape.heads;
  auto* memory = static_cast<S*>(cx.shared_scratch(kScratch, static_cast<size_t>(rows * heads) * 2 * sizeof(S) + static_cast<size_t>(rows) * sizeof(int)));
  const RowSums<S> sums{memory, memory + rows * heads, reinterpret_cast<int*>(memory + 2 * rows * heads)};
  launch("attention_row_sums", &attention_row_sums_kernel<T>, {blocks_for(rows, kSumThreads / kWarpThreads, INT32_MAX)}, kSumThreads, 0, rows_of<T>(a.d_o),
         rows_of<T>(a.o), rows_of<S>(a.lse), packed_documents(a.document_starts, a.shape, rows), static_cast<int>(rows), static_cast<int>(heads),
         static_cast<int>(a.shape.head_dim), lse_factor, sums);
  return sums;
}
template RowSums<float> row_sums<Bf16>(Context&, const AttentionBackwardArgs&, float);
template RowSums<float> row_sums<Half>(Context&, const AttentionBackwardArgs&, float);

void attention_backward(Context& cx, const AttentionBackwardArgs& a) {
  if (a.q.size() == 0) return;
  if (a.q.dtype() == DType::f64) run<double>(cx, a);
  else if (a.q.dtype() == DType::f32) run<float>(cx, a);
  else if (!attention_backward_mma(cx, a)) by_half_row(a.q.dtype(), [&](auto row) { run<decltype(row)>(cx, a); });
}

}  // namespace lorikeet::cuda
