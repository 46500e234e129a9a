// Attention, forward, for any type and head width up to 256, and of new tokens against a cache. 16-bit rows of the usual
// widths go to attention_mma.cu where the card has the instructions, a single new token to attention_step.cu.
//
// A block of 4 warps owns 16 queries of one head, a warp 4 of them; it walks over the keys that its queries see in tiles
// of 32 with online softmax (running maximum and sum, Dao 2023, arXiv:2307.08691). Documents may begin and end within a
// block: its keys go from the first that its first query sees to its last query, and each score is masked by what its own
// query sees. Sums in f32 (f64 for f64), in a fixed order: the result is deterministic, and later tokens do not change it.
// No alignment is assumed.
#include "core/base/error.h"
#include "cuda/ops/attention_general.cuh"
#include "cuda/ops/half_rows.h"
#include "cuda/ops/twins.h"

namespace lorikeet::cuda {
namespace {

constexpr int kOwn = 4;  // queries of a warp
constexpr int kBlockRows = kOwn * kGeneralWarps;

template <class T>
struct ForwardArgs {
  Rows<const T> q, k, v;
  Rows<T> o;
  Rows<Sum<T>> lse;  // data null: not wanted
  PackedDocuments documents;
  int rows, past;    // query r is at position past + r of the keys
  int group, head_dim;
  ScoreRule<Sum<T>> rule;
};

template <class T, int kColumns>
__global__ void attention_kernel(ForwardArgs<T> a) {
  using S = Sum<T>;
  const int head = static_cast<int>(blockIdx.x), begin = static_cast<int>(gridDim.y - 1 - blockIdx.y) * kBlockRows, kv = head / a.group, d = a.head_dim;
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads, mine = static_cast<int>(threadIdx.x) / kWarpThreads * kOwn;
  SharedMemory memory;
  const Shared<S> queries = memory.take<S>(kBlockRows * d), tile = memory.take<S>(kTileRows * tile_stride(d));
  load_rows(queries, d, a.q, begin, kBlockRows, a.rows, head, d);
  S top[kOwn], sum[kOwn], out[kOwn][kColumns];
  int first[kOwn];
  for (int i = 0; i < kOwn; ++i) {
    top[i] = -INFINITY;
    sum[i] = 0;
    for (int c = 0; c < kColumns; ++c) out[i][c] = 0;
    first[i] = begin + mine + i < a.rows ? a.documents.first_key(a.past + begin + mine + i) : INT32_MAX;
  }
  const int keys_end = a.past + min(begin + kBlockRows, a.rows);
  for (int key = a.documents.first_key(a.past + begin); key < keys_end; key += kTileRows) {
    S p[kOwn];
    __syncthreads();
    load_rows(tile, tile_stride(d), a.k, key, kTileRows, keys_end, kv, d);
    __syncthreads();
    dots(queries.from(mine * d), tile, d, p);
    for (int i = 0; i < kOwn; ++i) {
      const bool seen = key + lane >= first[i] && key + lane <= a.past + begin + mine + i;
      const S score = seen ? a.rule(p[i]) : S(-INFINITY);
      const S highest = max(top[i], warp_max(score)), base = highest == S(-INFINITY) ? S(0) : highest, factor = exp(top[i] - base);
      p[i] = exp(score - base);
      sum[i] = sum[i] * factor + warp_sum(p[i]);
      for (int c = 0; c < kColumns; ++c) out[i][c] *= factor;
      top[i] = highest;
    }
    __syncthreads();
    load_rows(tile, tile_stride(d), a.v, key, kTileRows, keys_end, kv, d);
    __syncthreads();
    mix(p, tile, d, out);
  }
  for (int i = 0; i < kOwn; ++i) {
    const int row = begin + mine + i;
    if (row >= a.rows) continue;
    T* o = a.o.at(row, head, d);
    for (int c = 0; c < kColumns; ++c)
      if (lane + c * kWarpThreads < d) o[lane + c * kWarpThreads] = rounded<T>(out[i][c] / sum[i]);
    if (a.lse.data && lane == 0) *a.lse.at(row, head, 1) = top[i] + log(sum[i]);
  }
}

template <class T>
void start(const char* name, const ForwardArgs<T>& a, int64_t heads) {
  const size_t shared = SharedSize().take<Sum<T>>(kBlockRows * a.head_dim).template take<Sum<T>>(kTileRows * tile_stride(a.head_dim)).bytes;
  const Grid grid{heads, blocks_for(a.rows, kBlockRows, 65535)};
  if (grid.y * kBlockRows < a.rows) throw UnsupportedError(std::string(name) + ": " + std::to_string(a.rows) + " rows on cuda");
  if (a.head_dim <= 4 * kWarpThreads) launch(name, &attention_kernel<T, 4>, grid, kGeneralThreads, shared, a);
  else launch(name, &attention_kernel<T, 8>, grid, kGeneralThreads, shared, a);
}

template <class T>
void run(const AttentionArgs& a) {
  const AttentionShape& s = a.shape;
  const int64_t rows = a.q.rows();
  start<T>("attention", {rows_of<T>(a.q), rows_of<T>(a.k), rows_of<T>(a.v), rows_of<T>(a.o), a.lse ? rows_of<Sum<T>>(*a.lse) : Rows<Sum<T>>{nullptr, 0},
                         packed_documents(a.document_starts, s, rows), static_cast<int>(rows), 0, static_cast<int>(s.heads / s.kv_heads), general_head_dim("attention", s),
                         score_rule<Sum<T>>(s)},
           s.heads);
}

template <class T>
void run(const AttentionCachedArgs& a) {
  const AttentionShape& s = a.shape;
  const int64_t rows = a.q.rows();
  if (a.past + rows > INT32_MAX / 2) throw UnsupportedError("attention_cached: " + std::to_string(a.past + rows) + " rows on cuda");
  const int window = s.window > a.past + rows ? 0 : static_cast<int>(s.window);
  start<T>("attention_cached", {rows_of<T>(a.q), rows_of<T>(a.keys), rows_of<T>(a.values), rows_of<T>(a.o), {nullptr, 0}, {nullptr, 1, window}, static_cast<int>(rows),
                                static_cast<int>(a.past), static_cast<int>(s.heads / s.kv_heads), general_head_dim("attention_cached", s), score_rule<Sum<T>>(s)},
           s.heads);
}

}  // namespace

void attention(Context& cx, const AttentionArgs& a) {
  if (a.q.size() == 0) return;
  if (a.q.dtype() == DType::f64) run<double>(a);
  else if (a.q.dtype() == DType::f32) run<float>(a);
  else if (!attention_mma(cx, a)) by_half_row(a.q.dtype(), [&](auto row) { run<decltype(row)>(a); });
}

void attention_cached(Context& cx, const AttentionCachedArgs& a) {
  if (a.q.size() == 0) return;
  if (a.q.dtype() == DType::f64) return run<double>(a);
  if (a.q.rows() > 1) return run<float>(a);
  const KvStore keys{a.keys, {}}, values{a.values, {}};
  const std::vector<AttentionStepText> text{{0, &keys, &values, a.past + 1}};
  cuda::attention_step(cx, {a.q, text, a.o, a.shape});
}

}  // namespace lorikeet::cuda
