// Attention on rows of bf16, backward in one pass over the scores. Queries and output gradients are packed once a head. A
// task owns the keys of a chunk of one key/value head: for each block of keys it makes strips of scores and their
// gradients, turned so that no product reads a column, adds to its dk and dv, and adds dS^T K to its own part of dq, kept
// turned. The parts of the chunks are summed at the end. Chunks depend on the sizes alone, so the sums do too.
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/ops/attention_parts.h"
#include "core/ops/cpu_twins.h"
#include "core/ops/packed_heads.h"
#include "core/ops/row_kernels.h"
#include "core/ops/soft_cap.h"

namespace lorikeet {
namespace {

using ops::bf16_row;
using ops::bf16_rows;
using ops::Document;
using ops::Packed;
using ops::PackedHeads;
using ops::PackedProduct;
constexpr int64_t kBlock = ops::kAttentionBlock;
constexpr int64_t kSegment = 256;  // queries at a time: the strips stay in the L2 cache
enum Slot { packed_ds = 1, scores = 4, gradients = 5, p_strip = 6, ds_strip = 7 };  // scratch of a thread
static_assert(kBlock == kAttentionPartRows);

/// Per head and token, side by side over tokens: the softmax's logarithm and D = sum(dO O).
struct HeadSums {
  Tensor lse, delta;  // [heads, T]
  HeadSums(Context& cx, const AttentionBackwardArgs& a) {
    const auto& s = a.shape;
    const RowKernels& kernels = row_kernels(cx.level());
    lse = Tensor::empty({s.heads, a.q.rows()}, DType::f32);
    delta = Tensor::empty({s.heads, a.q.rows()}, DType::f32);
    cx.pool().for_blocks(a.q.rows(), kBlock, [&](int64_t begin, int64_t end, int) {
      for (int64_t t = begin; t < end; ++t)
        for (int64_t h = 0; h < s.heads; ++h) {
          lse.row<float>(h)[t] = a.lse.row<float>(t)[h];
          delta.row<float>(h)[t] = kernels.dot_bf16(bf16_row(a.d_o, t) + h * s.head_dim, bf16_row(a.o, t) + h * s.head_dim, s.head_dim);
        }
    });
  }
};

/// dq^T of one chunk: [head_dim][stride] for each query head, columns from the chunk's first row on.
struct Part {
  int64_t document, begin, end;  // rows of its keys
  int64_t stride, at;            // numbers between rows; where head 0 starts
};

/// The chunks of all documents and the memory their parts take.
struct Parts {
  std::vector<Part> list;
  Tensor data;
  Parts(const std::vector<Document>& documents, const AttentionShape& s) {
    int64_t size = 0;
    for (size_t d = 0; d < documents.size(); ++d) {
      const std::vector<int64_t> starts = attention_chunks(documents[d].rows(), s.kv_heads);
      for (size_t c = 0; c + 1 < starts.size(); ++c) {
        list.push_back({static_cast<int64_t>(d), starts[c], starts[c + 1], attention_part_stride(documents[d].rows() - starts[c]), size});
        size += s.heads * s.head_dim * list.back().stride;
      }
    }
    // Within a window the queries far behind a chunk's keys do not meet them: their sums stay zero.
    data = s.window > 0 ? Tensor::zeros({std::max<int64_t>(size, 1)}, DType::f32) : Tensor::empty({std::max<int64_t>(size, 1)}, DType::f32);
  }
  float* of(const Part& p, int64_t head, int64_t head_dim) { return data.data<float>() + p.at + head * head_dim * p.stride; }
};

/// Scratch of a task.
struct Strips {
  float *s, *dp;
  uint16_t *p, *ds;
  Packed turned;           // ds as an operand whose columns are queries
  uint16_t k_turned[ops::kMostHeadDim * kBlock];  // [head_dim][kBlock]
  Strips(Context& cx, int thread, const PackedProduct& product) {
    const auto n = static_cast<size_t>(kBlock * kSegment);
    s = static_cast<float*>(cx.scratch(thread, scores, n * sizeof(float)));
    dp = static_cast<float*>(cx.scratch(thread, gradients, n * sizeof(float)));
    p = static_cast<uint16_t*>(cx.scratch(thread, p_strip, n * sizeof(uint16_t)));
    ds = static_cast<uint16_t*>(cx.scratch(thread, ds_strip, n * sizeof(uint16_t)));
    turned = {static_cast<uint32_t*>(cx.scratch(thread, packed_ds, static_cast<size_t>(product.words(kSegment, kBlock)) * sizeof(uint32_t))), 0};
  }
};

struct Backward {
  Context& cx;
  const AttentionBackwardArgs& a;
  const PackedProduct& product;
  const std::vector<Document>& documents;
  const HeadSums& sums;
  const PackedHeads &queries, &outs, &queries_along, &outs_along;
  Parts& parts;
  const RowKernels& kernels = row_kernels(cx.level());
  const AttentionShape& s = a.shape;
  const float scale = static_cast<float>(a.shape.scale);

  /// Keys [begin, end) of a document, met by the queries [q, q + count) of one head.
  struct Meeting {
    const Document& d;
    int64_t kv, head, begin, end, q, count;
    bool first;   // of those that meet these keys
    int64_t rows() const { return end - begin; }
    int64_t row() const { return d.first + begin; }
  };

  /// What score_gradient computes, for capped scores.
  void capped_gradient(float* score, const float* dp, const float* lse, const float* delta, uint16_t* p, uint16_t* ds, int64_t n) const {
    ops::cap_scores(score, n, s.scale, s.soft_cap);
    for (int64_t i = 0; i < n; ++i) {
      const float weight = std::exp(score[i] - lse[i]);
      p[i] = bf16_from_f32(weight);
      ds[i] = bf16_from_f32(weight * (dp[i] - delta[i]) * ops::cap_slope(score[i], s.soft_cap));
    }
  }

  /// Scores and their gradient, key by key; key begin + r is seen by the queries from it on, up to the window's end.
  void strips(const Meeting& m, Strips& t) const {
    const int64_t at = m.kv * s.head_dim, token = m.d.first + m.q;
    product.multiply(bf16_rows(a.k).from(m.row(), at), m.rows(), s.head_dim, queries.of(m.d, m.head).from(m.q), m.count, t.s, kSegment, false);
    product.multiply(bf16_rows(a.v).from(m.row(), at), m.rows(), s.head_dim, outs.of(m.d, m.head).from(m.q), m.count, t.dp, kSegment, false);
    const float *lse = sums.lse.row<float>(m.head) + token, *delta = sums.delta.row<float>(m.head) + token;
    for (int64_t r = 0; r < m.rows(); ++r) {
      const int64_t o = r * kSegment, unseen = std::clamp<int64_t>(m.begin + r - m.q, 0, m.count);
      const int64_t end = std::clamp<int64_t>(s.queries_end(m.begin + r, m.d.rows()) - m.q, unseen, m.count);
      for (uint16_t* strip : {t.p + o, t.ds + o}) {
        std::fill(strip, strip + unseen, uint16_t{0});
        std::fill(strip + end, strip + m.count, uint16_t{0});
      }
      const int64_t at_first = o + unseen, n = end - unseen;
      if (s.soft_cap > 0) capped_gradient(t.s + at_first, t.dp + at_first, lse + unseen, delta + unseen, t.p + at_first, t.ds + at_first, n);
      else kernels.score_gradient(t.s + at_first, t.dp + at_first, scale, lse + unseen, delta + unseen, 1, t.p + at_first, t.ds + at_first, n);
    }
  }

  void keys_and_values(const Meeting& m, const Strips& t) const {
    float *dk = a.dk.row<float>(m.row()) + m.kv * s.head_dim, *dv = a.dv.row<float>(m.row()) + m.kv * s.head_dim;
    product.multiply({t.p, kSegment}, m.rows(), m.count, outs_along.of(m.d, m.head).from(0, m.q / 2), s.head_dim, dv, a.dv.row_stride(), !m.first);
    product.multiply({t.ds, kSegment}, m.rows(), m.count, queries_along.of(m.d, m.head).from(0, m.q / 2), s.head_dim, dk, a.dk.row_stride(), !m.first);
  }

  void turned_queries(const Meeting& m, const Part& part, Strips& t) const {
    t.turned.steps = product.steps(m.rows());
    product.pack(Bf16Operand{t.ds, 1, kSegment}, m.count, m.rows(), t.turned);
    float* dq = parts.of(part, m.head, s.head_dim) + (m.q - part.begin);
    for (int64_t r = 0; r < s.head_dim; r += PackedProduct::kRows)
      product.multiply({t.k_turned + r * kBlock, kBlock}, std::min(PackedProduct::kRows, s.head_dim - r), m.rows(), t.turned, m.count, dq + r * part.stride, part.stride, s.window > 0 || m.begin > part.begin);
  }

  void turn_keys(const Document& d, int64_t kv, int64_t begin, int64_t end, Strips& t) const {
    for (int64_t r = begin; r < end; ++r) {
      const uint16_t* k = bf16_row(a.k, d.first + r) + kv * s.head_dim;
      for (int64_t c = 0; c < s.head_dim; ++c) t.k_turned[c * kBlock + r - begin] = k[c];
    }
  }

  void run(const Part& part, int64_t kv, int thread) const {
    const Document& d = documents[static_cast<size_t>(part.document)];
    const int64_t group = s.heads / s.kv_heads;
    Strips t(cx, thread, product);
    for (int64_t begin = part.begin; begin < part.end; begin += kBlock) {
      const int64_t end = std::min(begin + kBlock, part.end), last = s.queries_end(end - 1, d.rows());
      turn_keys(d, kv, begin, end, t);
      for (int64_t g = 0; g < group; ++g)
        for (int64_t q = begin; q < last; q += kSegment) {
          const Meeting m{d, kv, kv * group + g, begin, end, q, std::min(kSegment, last - q), g == 0 && q == begin};
          strips(m, t);
          keys_and_values(m, t);
          turned_queries(m, part, t);
        }
      for (int64_t r = d.first + begin; r < d.first + end; ++r)
        for (int64_t c = kv * s.head_dim; c < (kv + 1) * s.head_dim; ++c) a.dk.row<float>(r)[c] *= scale;
    }
  }

  /// Sums the parts of rows [begin, end) of a document, at most kBlock, and turns them back.
  void sum_queries(size_t document, int64_t begin, int64_t end, int thread) const {
    const int64_t rows = end - begin;
    auto* sum = static_cast<float*>(cx.scratch(thread, scores, static_cast<size_t>(s.head_dim * kBlock) * sizeof(float)));
    for (int64_t h = 0; h < s.heads; ++h) {
      std::fill(sum, sum + s.head_dim * kBlock, 0.0f);
      for (const Part& p : parts.list) {
        if (p.document != static_cast<int64_t>(document) || p.begin > begin) continue;
        for (int64_t c = 0; c < s.head_dim; ++c) kernels.axpy(parts.of(p, h, s.head_dim) + c * p.stride + begin - p.begin, 1, sum + c * kBlock, rows);
      }
      kernels.turn(sum, kBlock, s.head_dim, rows, scale, a.dq.row<float>(documents[document].first + begin) + h * s.head_dim, a.dq.row_stride());
    }
  }

  void run() const {
    cx.pool().run(static_cast<int64_t>(parts.list.size()) * s.kv_heads, [&](int64_t i, int thread) { run(parts.list[static_cast<size_t>(i / s.kv_heads)], i % s.kv_heads, thread); });
    for (size_t d = 0; d < documents.size(); ++d)
      cx.pool().for_blocks(documents[d].rows(), kBlock, [&](int64_t begin, int64_t end, int thread) { sum_queries(d, begin, end, thread); });
  }
};

void in_f32(Context& cx, const AttentionBackwardArgs& a) {
  const Tensor d_o = ops::as_f32(cx, a.d_o), q = ops::as_f32(cx, a.q), k = ops::as_f32(cx, a.k), v = ops::as_f32(cx, a.v), o = ops::as_f32(cx, a.o);
  attention_backward_cpu(cx, {d_o, q, k, v, o, a.lse, a.document_starts, a.dq, a.dk, a.dv, a.shape});
}

}  // namespace

void attention_backward_bf16(Context& cx, const AttentionBackwardArgs& a) {
  const auto& s = a.shape;
  if (!ops::packed_attention(cx.unit(), s.head_dim)) return in_f32(cx, a);
  const PackedProduct product(cx.unit());
  const auto documents = ops::documents_of(a.document_starts);
  PackedHeads queries(product, documents, s.heads, s.head_dim, PackedHeads::as_columns), outs = queries;
  PackedHeads queries_along(product, documents, s.heads, s.head_dim, PackedHeads::along_k), outs_along = queries_along;
  ops::pack_all(cx, documents, {{&queries, &a.q}, {&outs, &a.d_o}, {&queries_along, &a.q}, {&outs_along, &a.d_o}});
  const HeadSums sums(cx, a);
  Parts parts(documents, s);
  Backward{cx, a, product, documents, sums, queries, outs, queries_along, outs_along, parts}.run();
}

}  // namespace lorikeet
