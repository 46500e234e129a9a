// A task owns a block of kBlock queries of one head (forward, dq) or a block of kBlock keys of one key/value head
// (dk, dv). It works on a strip of scores kBlock x length held in its scratch: memory grows with T, never with T x T.
// The backward pass recomputes the strip in both walks (7 products rather than 5), so that no two tasks add to one sum.
#include <cmath>
#include <vector>

#include "core/ops/cpu_twins.h"
#include "core/ops/gemm.h"
#include "core/ops/panels.h"
#include "core/ops/row_kernels.h"
#include "core/ops/soft_cap.h"

namespace lorikeet {
namespace {

constexpr int64_t kBlock = 64;

struct Task {
  int64_t head;          // query head, or key/value head in the dk, dv walk
  int64_t begin, end;    // rows of the block
  int64_t first, last;   // the document's rows
};

std::vector<Task> tasks_of(const Tensor& starts, int64_t heads) {
  std::vector<Task> out;
  const int32_t* s = starts.data<int32_t>();
  for (int64_t d = 0; d + 1 < starts.size(); ++d)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t b = s[d]; b < s[d + 1]; b += kBlock) out.push_back({h, b, std::min<int64_t>(b + kBlock, s[d + 1]), s[d], s[d + 1]});
  return out;
}

// Row primitives in both types; f32 goes through the CPU level's kernels.
float exp_sum(const RowKernels& k, float* x, float scale, float offset, int64_t n) { return k.exp_sum(x, scale, offset, n); }
double exp_sum(const RowKernels&, double* x, double scale, double offset, int64_t n) {
  double s = 0;
  for (int64_t i = 0; i < n; ++i) s += x[i] = std::exp(x[i] * scale - offset);
  return s;
}
float max_of(const RowKernels& k, const float* x, int64_t n) { return k.max(x, n); }
double max_of(const RowKernels&, const double* x, int64_t n) {
  double m = x[0];
  for (int64_t i = 1; i < n; ++i) m = std::max(m, x[i]);
  return m;
}
float dot(const RowKernels& k, const float* x, const float* y, int64_t n) { return k.dot(x, y, n); }
double dot(const RowKernels&, const double* x, const double* y, int64_t n) {
  double s = 0;
  for (int64_t i = 0; i < n; ++i) s += x[i] * y[i];
  return s;
}

template <class T>
T* strip(Context& cx, int thread, int slot, int64_t rows, int64_t columns) {
  return static_cast<T*>(cx.scratch(thread, slot, static_cast<size_t>(rows * columns) * sizeof(T)));
}

// Scores of one row become weights relative to their maximum, those out of sight zero. Returns the sum, `top` the maximum.
template <class T>
T softmax_row(const RowKernels& k, T* row, int64_t hidden, int64_t seen, int64_t keys, const AttentionShape& s, T& top) {
  T scale = static_cast<T>(s.scale);
  if (s.soft_cap > 0) {
    ops::cap_scores(row + hidden, seen - hidden, s.scale, s.soft_cap);
    scale = 1;
  }
  top = max_of(k, row + hidden, seen - hidden) * scale;
  std::fill(row, row + hidden, T(0));
  std::fill(row + seen, row + keys, T(0));
  return exp_sum(k, row + hidden, scale, top, seen - hidden);
}

// Block of queries [rows] against keys [keys]; query row r sees keys up to visible_before + r.
template <class T>
void query_block(Context& cx, int thread, const T* q, int64_t q_stride, const T* key, int64_t k_stride, const T* value, int64_t v_stride, T* o, int64_t o_stride, T* lse,
                 int64_t lse_stride, int64_t rows, int64_t visible_before, const AttentionShape& s) {
  const RowKernels& k = row_kernels(cx.level());
  const int64_t keys = visible_before + rows;
  T* p = strip<T>(cx, thread, 4, rows, keys);
  gemm<T>(cx.unit(), false, true, rows, keys, s.head_dim, 1, q, q_stride, key, k_stride, 0, p, keys);
  T sums[kBlock];
  for (int64_t r = 0; r < rows; ++r) {
    T top;
    sums[r] = softmax_row(k, p + r * keys, s.first_key(visible_before + r), visible_before + r + 1, keys, s, top);
    if (lse) lse[r * lse_stride] = top + std::log(sums[r]);
  }
  gemm<T>(cx.unit(), false, false, rows, s.head_dim, keys, 1, p, keys, value, v_stride, 0, o, o_stride);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < s.head_dim; ++i) o[r * o_stride + i] /= sums[r];
}

template <class T>
void forward(Context& cx, const AttentionArgs& a) {
  const auto& s = a.shape;
  const auto tasks = tasks_of(a.document_starts, s.heads);
  cx.pool().run(static_cast<int64_t>(tasks.size()), [&](int64_t i, int thread) {
    const Task& t = tasks[static_cast<size_t>(i)];
    const int64_t at = t.head * s.head_dim, kv_at = t.head / (s.heads / s.kv_heads) * s.head_dim, first = t.first + s.first_key(t.begin - t.first);
    query_block<T>(cx, thread, a.q.row<T>(t.begin) + at, a.q.row_stride(), a.k.row<T>(first) + kv_at, a.k.row_stride(), a.v.row<T>(first) + kv_at, a.v.row_stride(),
                   a.o.row<T>(t.begin) + at, a.o.row_stride(), a.lse ? a.lse->row<T>(t.begin) + t.head : nullptr, a.lse ? a.lse->row_stride() : 0, t.end - t.begin,
                   t.begin - first, s);
  });
}

// D_r = sum_i dO O over a row of one head.
template <class T>
Tensor row_products(Context& cx, const AttentionBackwardArgs& a) {
  const auto& s = a.shape;
  const RowKernels& k = row_kernels(cx.level());
  Tensor d = Tensor::empty({a.q.rows(), s.heads}, a.q.dtype());
  cx.pool().for_blocks(a.q.rows(), kBlock, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t)
      for (int64_t h = 0; h < s.heads; ++h) d.row<T>(t)[h] = dot(k, a.d_o.row<T>(t) + h * s.head_dim, a.o.row<T>(t) + h * s.head_dim, s.head_dim);
  });
  return d;
}

// p and ds of one query against the keys it sees.
template <class T>
void score_row(const RowKernels& k, T* p, T* ds, int64_t n, T lse, T delta, const AttentionShape& s) {
  const bool capped = s.soft_cap > 0;
  if (capped) {
    ops::cap_scores(p, n, s.scale, s.soft_cap);
    for (int64_t i = 0; i < n; ++i) ds[i] = (ds[i] - delta) * ops::cap_slope(p[i], s.soft_cap);
  } else {
    for (int64_t i = 0; i < n; ++i) ds[i] -= delta;
  }
  exp_sum(k, p, capped ? T(1) : static_cast<T>(s.scale), lse, n);
  for (int64_t i = 0; i < n; ++i) ds[i] *= p[i];
}

// p = exp(scale q k^T - lse) where the query sees the key, else 0; ds = p (dO v^T - D). Rows are queries [q0, q1), columns
// keys [k0, k1) of the document that starts at `first` (absolute rows).
template <class T>
void score_strip(Context& cx, const AttentionBackwardArgs& a, const Tensor& d, int64_t head, int64_t first, int64_t q0, int64_t q1, int64_t k0, int64_t k1, T* p, T* ds) {
  const auto& s = a.shape;
  const RowKernels& k = row_kernels(cx.level());
  const int64_t at = head * s.head_dim, kv_at = head / (s.heads / s.kv_heads) * s.head_dim, keys = k1 - k0;
  gemm<T>(cx.unit(), false, true, q1 - q0, keys, s.head_dim, 1, a.q.row<T>(q0) + at, a.q.row_stride(), a.k.row<T>(k0) + kv_at, a.k.row_stride(), 0, p, keys);
  gemm<T>(cx.unit(), false, true, q1 - q0, keys, s.head_dim, 1, a.d_o.row<T>(q0) + at, a.d_o.row_stride(), a.v.row<T>(k0) + kv_at, a.v.row_stride(), 0, ds, keys);
  for (int64_t q = q0; q < q1; ++q) {
    T *p_row = p + (q - q0) * keys, *ds_row = ds + (q - q0) * keys;
    const int64_t seen = std::clamp<int64_t>(q + 1 - k0, 0, keys), hidden = std::clamp<int64_t>(first + s.first_key(q - first) - k0, 0, seen);
    if (seen > hidden) score_row(k, p_row + hidden, ds_row + hidden, seen - hidden, a.lse.row<T>(q)[head], d.row<T>(q)[head], s);
    for (T* row : {p_row, ds_row}) {
      std::fill(row, row + hidden, T(0));
      std::fill(row + seen, row + keys, T(0));
    }
  }
}

template <class T>
void backward_queries(Context& cx, const AttentionBackwardArgs& a, const Tensor& d) {
  const auto& s = a.shape;
  const auto tasks = tasks_of(a.document_starts, s.heads);
  cx.pool().run(static_cast<int64_t>(tasks.size()), [&](int64_t i, int thread) {
    const Task& t = tasks[static_cast<size_t>(i)];
    const int64_t first = t.first + s.first_key(t.begin - t.first), keys = t.end - first, rows = t.end - t.begin, at = t.head * s.head_dim, kv_at = t.head / (s.heads / s.kv_heads) * s.head_dim;
    T *p = strip<T>(cx, thread, 4, rows, keys), *ds = strip<T>(cx, thread, 5, rows, keys);
    score_strip<T>(cx, a, d, t.head, t.first, t.begin, t.end, first, t.end, p, ds);
    gemm<T>(cx.unit(), false, false, rows, s.head_dim, keys, static_cast<T>(s.scale), ds, keys, a.k.row<T>(first) + kv_at, a.k.row_stride(), 0, a.dq.row<T>(t.begin) + at,
            a.dq.row_stride());
  });
}

template <class T>
void backward_keys(Context& cx, const AttentionBackwardArgs& a, const Tensor& d) {
  const auto& s = a.shape;
  const int64_t group = s.heads / s.kv_heads;
  const auto tasks = tasks_of(a.document_starts, s.kv_heads);
  cx.pool().run(static_cast<int64_t>(tasks.size()), [&](int64_t i, int thread) {
    const Task& t = tasks[static_cast<size_t>(i)];
    const int64_t last = t.first + s.queries_end(t.end - 1 - t.first, t.last - t.first), keys = t.end - t.begin, queries = last - t.begin, kv_at = t.head * s.head_dim;
    T *p = strip<T>(cx, thread, 4, queries, keys), *ds = strip<T>(cx, thread, 5, queries, keys);
    for (int64_t g = 0; g < group; ++g) {
      const int64_t head = t.head * group + g, at = head * s.head_dim;
      const T beta = g > 0 ? T(1) : T(0);
      score_strip<T>(cx, a, d, head, t.first, t.begin, last, t.begin, t.end, p, ds);
      gemm<T>(cx.unit(), true, false, keys, s.head_dim, queries, 1, p, keys, a.d_o.row<T>(t.begin) + at, a.d_o.row_stride(), beta, a.dv.row<T>(t.begin) + kv_at, a.dv.row_stride());
      gemm<T>(cx.unit(), true, false, keys, s.head_dim, queries, static_cast<T>(s.scale), ds, keys, a.q.row<T>(t.begin) + at, a.q.row_stride(), beta,
              a.dk.row<T>(t.begin) + kv_at, a.dk.row_stride());
    }
  });
}

// One new token: dot products and sums of rows, no packing. It sees all keys.
void one_query(const RowKernels& k, const float* q, const float* key, int64_t k_stride, const float* value, int64_t v_stride, int64_t keys, float* p, float* o, const AttentionShape& s) {
  for (int64_t j = 0; j < keys; ++j) p[j] = k.dot(q, key + j * k_stride, s.head_dim);
  float top;
  const float sum = softmax_row(k, p, 0, keys, keys, s, top);
  std::fill(o, o + s.head_dim, 0.0f);
  for (int64_t j = 0; j < keys; ++j) k.axpy(value + j * v_stride, p[j] / sum, o, s.head_dim);
}

template <class T>
void cached(Context& cx, const AttentionCachedArgs& a) {
  const auto& s = a.shape;
  const int64_t tokens = a.q.rows(), blocks = (tokens + kBlock - 1) / kBlock;
  cx.pool().run(s.heads * blocks, [&](int64_t task, int thread) {
    const int64_t head = task / blocks, begin = task % blocks * kBlock, rows = std::min(kBlock, tokens - begin);
    const int64_t at = head * s.head_dim, kv_at = head / (s.heads / s.kv_heads) * s.head_dim, first = s.first_key(a.past + begin);
    const T *q = a.q.row<T>(begin) + at, *key = a.keys.row<T>(first) + kv_at, *value = a.values.row<T>(first) + kv_at;
    T* o = a.o.row<T>(begin) + at;
    if constexpr (std::is_same_v<T, float>)
      if (tokens == 1) {
        const int64_t keys = a.past + 1 - first;
        return one_query(row_kernels(cx.level()), q, key, a.keys.row_stride(), value, a.values.row_stride(), keys, strip<T>(cx, thread, 4, 1, keys), o, s);
      }
    query_block<T>(cx, thread, q, a.q.row_stride(), key, a.keys.row_stride(), value, a.values.row_stride(), o, a.o.row_stride(), nullptr, 0, rows, a.past + begin - first, s);
  });
}

}  // namespace

void attention_cpu(Context& cx, const AttentionArgs& a) {
  if (a.q.dtype() == DType::bf16) return attention_bf16(cx, a);
  ops::by_type(a.q.dtype(), [&](auto t) { forward<decltype(t)>(cx, a); });
}

void attention_backward_cpu(Context& cx, const AttentionBackwardArgs& a) {
  if (a.q.dtype() == DType::bf16) return attention_backward_bf16(cx, a);
  ops::by_type(a.q.dtype(), [&](auto t) {
    using T = decltype(t);
    const Tensor d = row_products<T>(cx, a);
    backward_queries<T>(cx, a, d);
    backward_keys<T>(cx, a, d);
  });
}

void attention_cached_cpu(Context& cx, const AttentionCachedArgs& a) {
  ops::by_type(a.q.dtype(), [&](auto t) { cached<decltype(t)>(cx, a); });
}

}  // namespace lorikeet
