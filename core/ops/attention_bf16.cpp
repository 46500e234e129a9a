// Attention on rows of bf16, forward. Keys and values are packed once a head, then met by every block of queries: a task
// owns kAttentionBlock queries of one head and walks over the keys a segment at a time, with the running maximum and sum
// of online softmax (Dao 2023, arXiv:2307.08691). Softmax and sums in f32, its results rounded for the products. Backward: attention_backward_bf16.cpp.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/ops/cpu_twins.h"
#include "core/ops/packed_heads.h"
#include "core/ops/row_kernels.h"
#include "core/ops/soft_cap.h"

namespace lorikeet {
namespace {

using ops::bf16_row;
using ops::bf16_rows;
using ops::Document;
using ops::PackedHeads;
using ops::PackedProduct;
constexpr int64_t kBlock = ops::kAttentionBlock;
constexpr int64_t kSegment = 512;  // keys at a time: the strip of scores stays in the L2 cache
enum Slot { scores = 4, weights = 6 };  // scratch of a thread

struct Task {
  int64_t document, head, begin, end;  // rows of the block, from the document's first
};

/// The longest tasks first, so that the threads end together.
std::vector<Task> tasks_of(const std::vector<Document>& documents, int64_t heads) {
  std::vector<Task> out;
  for (size_t d = 0; d < documents.size(); ++d)
    for (int64_t end = documents[d].rows(); end > 0; end = (end - 1) / kBlock * kBlock)
      for (int64_t h = 0; h < heads; ++h) out.push_back({static_cast<int64_t>(d), h, (end - 1) / kBlock * kBlock, end});
  return out;
}

struct Forward {
  Context& cx;
  const AttentionArgs& a;
  const PackedProduct& product;
  const PackedHeads &keys, &values;
  const RowKernels& kernels = row_kernels(cx.level());
  const AttentionShape& s = a.shape;
  const float scale = a.shape.soft_cap > 0 ? 1.0f : static_cast<float>(a.shape.scale);  // capped scores are scaled already

  /// Softmax's running maximum and sum of a row, with its output so far.
  struct Rows {
    float top[kBlock], sum[kBlock], out[kBlock * ops::kMostHeadDim];
  };

  /// Scores of one row against `count` keys, of which it sees [hidden, seen), become weights; what was summed before is
  /// scaled to the new maximum.
  void weigh(Rows& rows, int64_t r, float* score, uint16_t* weight, int64_t hidden, int64_t seen, int64_t count) const {
    std::fill(weight, weight + hidden, uint16_t{0});
    std::fill(weight + seen, weight + count, uint16_t{0});
    if (hidden == seen) return;
    if (s.soft_cap > 0) ops::cap_scores(score + hidden, seen - hidden, s.scale, s.soft_cap);
    const float top = std::max(rows.top[r], kernels.max(score + hidden, seen - hidden) * scale);
    if (top > rows.top[r]) {
      const float factor = std::exp(rows.top[r] - top);
      rows.sum[r] *= factor;
      for (int64_t c = 0; c < s.head_dim; ++c) rows.out[r * s.head_dim + c] *= factor;
      rows.top[r] = top;
    }
    rows.sum[r] += kernels.exp_sum_bf16(score + hidden, scale, top, weight + hidden, seen - hidden).exact;
  }

  void run(const Document& d, const Task& t, int thread) const {
    const int64_t count = t.end - t.begin, at = t.head * s.head_dim, kv = t.head / (s.heads / s.kv_heads);
    auto* score = static_cast<float*>(cx.scratch(thread, scores, static_cast<size_t>(kBlock * kSegment) * sizeof(float)));
    auto* weight = static_cast<uint16_t*>(cx.scratch(thread, weights, static_cast<size_t>(kBlock * kSegment) * sizeof(uint16_t)));
    Rows rows;
    std::fill(rows.top, rows.top + count, -std::numeric_limits<float>::infinity());
    std::fill(rows.sum, rows.sum + count, 0.0f);
    std::fill(rows.out, rows.out + count * s.head_dim, 0.0f);
    for (int64_t k = s.first_key(t.begin) / kBlock * kBlock; k < t.end; k += kSegment) {
      const int64_t columns = std::min(kSegment, t.end - k);
      product.multiply(bf16_rows(a.q).from(d.first + t.begin, at), count, s.head_dim, keys.of(d, kv).from(k), columns, score, kSegment, false);
      for (int64_t r = 0; r < count; ++r) {
        const int64_t seen = std::min(columns, t.begin + r + 1 - k), hidden = std::clamp<int64_t>(s.first_key(t.begin + r) - k, 0, seen);
        weigh(rows, r, score + r * kSegment, weight + r * kSegment, hidden, seen, columns);
      }
      product.multiply({weight, kSegment}, count, columns, values.of(d, kv).from(0, k / 2), s.head_dim, rows.out, s.head_dim, true);
    }
    for (int64_t r = 0; r < count; ++r) {
      float* row = rows.out + r * s.head_dim;
      for (int64_t c = 0; c < s.head_dim; ++c) row[c] /= rows.sum[r];
      kernels.to_bf16(row, bf16_row(a.o, d.first + t.begin + r) + at, s.head_dim);
      if (a.lse) a.lse->row<float>(d.first + t.begin + r)[t.head] = rows.top[r] + std::log(rows.sum[r]);
    }
  }
};

void forward(Context& cx, const AttentionArgs& a) {
  const auto& s = a.shape;
  const PackedProduct product(cx.unit());
  const auto documents = ops::documents_of(a.document_starts);
  PackedHeads keys(product, documents, s.kv_heads, s.head_dim, PackedHeads::as_columns), values(product, documents, s.kv_heads, s.head_dim, PackedHeads::along_k);
  ops::pack_all(cx, documents, {{&keys, &a.k}, {&values, &a.v}});
  const auto tasks = tasks_of(documents, s.heads);
  const Forward pass{cx, a, product, keys, values};
  cx.pool().run(static_cast<int64_t>(tasks.size()), [&](int64_t i, int thread) {
    const Task& t = tasks[static_cast<size_t>(i)];
    pass.run(documents[static_cast<size_t>(t.document)], t, thread);
  });
}

}  // namespace

void attention_bf16(Context& cx, const AttentionArgs& a) {
  if (ops::packed_attention(cx.unit(), a.shape.head_dim)) return forward(cx, a);
  const Tensor q = ops::as_f32(cx, a.q), k = ops::as_f32(cx, a.k), v = ops::as_f32(cx, a.v);
  Tensor o = Tensor::empty(a.o.shape(), DType::f32);
  attention_cpu(cx, {q, k, v, a.document_starts, o, a.lse, a.shape});
  ops::round_rows(cx, o, a.o);
}

}  // namespace lorikeet
