// Attention on rows of bf16. Keys, values and, in backward, queries and output gradients are packed once a head, then
// met by every block of queries (or keys): a task owns a block of kBlock queries of one head (forward, dq) or of kBlock
// keys of one key/value head (dk, dv) and works on a strip of scores in its scratch. In the walk over keys the strips
// are made transposed, so that no product reads a column. Softmax and sums in f32, its results rounded for the products.
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/ops/bf16_rows.h"
#include "core/ops/cpu_twins.h"
#include "core/ops/row_kernels.h"

namespace lorikeet {
namespace {

using ops::Bf16Rows;
using ops::bf16_row;
using ops::bf16_rows;
using ops::Packed;
using ops::PackedProduct;
constexpr int64_t kBlock = PackedProduct::kRows;
enum Slot { scores = 4, gradients = 5, p_strip = 6, ds_strip = 7 };  // scratch of a thread
constexpr int kPackedSlot = 4;                                       // shared scratch

struct Document {
  int64_t first, last, packed_at;  // rows; start of its packed rows, in units of 32 rows
  int64_t rows() const { return last - first; }
};
struct Task {
  int64_t document, head, begin, end;  // rows of the block, from the document's first
};

constexpr int64_t kUnit = 32;  // packed rows of a document are a multiple of it, whichever way they are packed
int64_t whole(int64_t rows) { return (rows + kUnit - 1) / kUnit * kUnit; }

std::vector<Document> documents_of(const Tensor& starts) {
  std::vector<Document> out;
  const int32_t* s = starts.data<int32_t>();
  int64_t at = 0;
  for (int64_t d = 0; d + 1 < starts.size(); ++d) {
    if (s[d] == s[d + 1]) continue;
    out.push_back({s[d], s[d + 1], at});
    at += whole(s[d + 1] - s[d]);
  }
  return out;
}

/// Longest blocks first would balance better, but their order must not depend on the threads: it does not here either,
/// since every task owns what it writes.
std::vector<Task> tasks_of(const std::vector<Document>& documents, int64_t heads) {
  std::vector<Task> out;
  for (size_t d = 0; d < documents.size(); ++d)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t b = 0; b < documents[d].rows(); b += kBlock)
        out.push_back({static_cast<int64_t>(d), h, b, std::min(b + kBlock, documents[d].rows())});
  return out;
}

/// One head's rows of a tensor, packed for every document: as columns (k = head_dim) or along k (columns = head_dim).
class PackedHeads {
 public:
  enum Way { as_columns, along_k };
  PackedHeads(const PackedProduct& product, const std::vector<Document>& documents, int64_t heads, int64_t head_dim, Way way)
      : product_(product), heads_(heads), head_dim_(head_dim), way_(way) {
    rows_ = documents.empty() ? 0 : documents.back().packed_at + whole(documents.back().rows());
    words_a_row_ = way == as_columns ? product.steps(head_dim) : (head_dim + kPanelColumns - 1) / kPanelColumns * kPanelColumns / 2;
  }
  int64_t words() const { return heads_ * rows_ * words_a_row_; }
  void set_data(uint32_t* data) { data_ = data; }
  void pack(const Tensor& t, const Document& d, int64_t head) const {
    const uint16_t* at = bf16_row(t, d.first) + head * head_dim_;
    if (way_ == as_columns) product_.pack(Bf16Operand{at, t.row_stride(), 1}, d.rows(), head_dim_, of(d, head));
    else product_.pack(Bf16Operand{at, 1, t.row_stride()}, head_dim_, d.rows(), of(d, head));
  }
  Packed of(const Document& d, int64_t head) const {
    return {data_ + (head * rows_ + d.packed_at) * words_a_row_, way_ == as_columns ? product_.steps(head_dim_) : product_.steps(d.rows())};
  }
  int64_t heads() const { return heads_; }

 private:
  const PackedProduct& product_;
  int64_t heads_, head_dim_, rows_ = 0, words_a_row_ = 0;
  Way way_;
  uint32_t* data_ = nullptr;
};

struct Source {
  PackedHeads* packed;
  const Tensor* rows;
};
void pack_all(Context& cx, const std::vector<Document>& documents, const std::vector<Source>& sources) {
  int64_t words = 0, tasks = 0;
  for (const Source& s : sources) words += s.packed->words();
  auto* at = static_cast<uint32_t*>(cx.shared_scratch(kPackedSlot, static_cast<size_t>(words) * 4));
  for (const Source& s : sources) {
    s.packed->set_data(at);
    at += s.packed->words();
    tasks += s.packed->heads();
  }
  const auto count = static_cast<int64_t>(documents.size());
  cx.pool().run(tasks * count, [&](int64_t task, int) {
    int64_t head = task / count;
    size_t s = 0;
    while (head >= sources[s].packed->heads()) head -= sources[s++].packed->heads();
    sources[s].packed->pack(*sources[s].rows, documents[static_cast<size_t>(task % count)], head);
  });
}

/// Buffers of a task: strips of kBlock rows, `stride` numbers apart.
struct Strips {
  int64_t stride;
  float *s, *dp;
  uint16_t *p, *ds;
  Strips(Context& cx, int thread, int64_t columns, bool both) : stride(whole(columns)) {
    const auto n = static_cast<size_t>(kBlock * stride);
    s = static_cast<float*>(cx.scratch(thread, scores, n * 4));
    dp = both ? static_cast<float*>(cx.scratch(thread, gradients, n * 4)) : nullptr;
    p = static_cast<uint16_t*>(cx.scratch(thread, p_strip, n * 2));
    ds = both ? static_cast<uint16_t*>(cx.scratch(thread, ds_strip, n * 2)) : nullptr;
  }
};

void zero(uint16_t* from, uint16_t* to) { std::fill(from, to, uint16_t{0}); }

void forward(Context& cx, const AttentionArgs& a) {
  const auto& s = a.shape;
  const PackedProduct product(cx.unit());
  const RowKernels& kernels = row_kernels(cx.level());
  const auto documents = documents_of(a.document_starts);
  PackedHeads keys(product, documents, s.kv_heads, s.head_dim, PackedHeads::as_columns), values(product, documents, s.kv_heads, s.head_dim, PackedHeads::along_k);
  pack_all(cx, documents, {{&keys, &a.k}, {&values, &a.v}});
  const auto tasks = tasks_of(documents, s.heads);
  const auto scale = static_cast<float>(s.scale);
  cx.pool().run(static_cast<int64_t>(tasks.size()), [&](int64_t i, int thread) {
    const Task& t = tasks[static_cast<size_t>(i)];
    const Document& d = documents[static_cast<size_t>(t.document)];
    const int64_t rows = t.end - t.begin, at = t.head * s.head_dim, kv = t.head / (s.heads / s.kv_heads);
    const Strips strip(cx, thread, t.end, false);
    product.multiply(bf16_rows(a.q).from(d.first + t.begin, at), rows, s.head_dim, keys.of(d, kv), t.end, strip.s, strip.stride, false);
    float sum[kBlock], out[kBlock * 256];
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t seen = t.begin + r + 1;
      const float* row = strip.s + r * strip.stride;
      uint16_t* p = strip.p + r * strip.stride;
      const float top = kernels.max(row, seen) * scale;
      sum[r] = kernels.exp_sum_bf16(row, scale, top, p, seen);
      zero(p + seen, p + t.end);
      if (a.lse) a.lse->row<float>(d.first + t.begin + r)[t.head] = top + std::log(sum[r]);
    }
    product.multiply({strip.p, strip.stride}, rows, t.end, values.of(d, kv), s.head_dim, out, s.head_dim, false);
    for (int64_t r = 0; r < rows; ++r) {
      float* row = out + r * s.head_dim;
      for (int64_t c = 0; c < s.head_dim; ++c) row[c] /= sum[r];
      kernels.to_bf16(row, bf16_row(a.o, d.first + t.begin + r) + at, s.head_dim);
    }
  });
}

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

struct Backward {
  Context& cx;
  const AttentionBackwardArgs& a;
  const PackedProduct& product;
  const std::vector<Document>& documents;
  const HeadSums& sums;
  const RowKernels& kernels = row_kernels(cx.level());
  const AttentionShape& s = a.shape;
  const float scale = static_cast<float>(a.shape.scale);

  void queries() const {
    PackedHeads keys(product, documents, s.kv_heads, s.head_dim, PackedHeads::as_columns), values = keys;
    PackedHeads keys_along(product, documents, s.kv_heads, s.head_dim, PackedHeads::along_k);
    pack_all(cx, documents, {{&keys, &a.k}, {&values, &a.v}, {&keys_along, &a.k}});
    const auto tasks = tasks_of(documents, s.heads);
    cx.pool().run(static_cast<int64_t>(tasks.size()), [&](int64_t i, int thread) {
      const Task& t = tasks[static_cast<size_t>(i)];
      const Document& d = documents[static_cast<size_t>(t.document)];
      const int64_t row = d.first + t.begin, rows = t.end - t.begin, at = t.head * s.head_dim, kv = t.head / (s.heads / s.kv_heads);
      const Strips strip(cx, thread, t.end, true);
      product.multiply(bf16_rows(a.q).from(row, at), rows, s.head_dim, keys.of(d, kv), t.end, strip.s, strip.stride, false);
      product.multiply(bf16_rows(a.d_o).from(row, at), rows, s.head_dim, values.of(d, kv), t.end, strip.dp, strip.stride, false);
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t seen = t.begin + r + 1, o = r * strip.stride;
        kernels.score_gradient(strip.s + o, strip.dp + o, scale, sums.lse.row<float>(t.head) + row + r, sums.delta.row<float>(t.head) + row + r, 0, strip.p + o, strip.ds + o, seen);
        zero(strip.ds + o + seen, strip.ds + o + t.end);
      }
      float* dq = a.dq.row<float>(row) + at;
      product.multiply({strip.ds, strip.stride}, rows, t.end, keys_along.of(d, kv), s.head_dim, dq, a.dq.row_stride(), false);
      scale_rows(dq, rows, a.dq.row_stride());
    });
  }

  void keys() const {
    PackedHeads queries(product, documents, s.heads, s.head_dim, PackedHeads::as_columns), outs = queries;
    PackedHeads queries_along(product, documents, s.heads, s.head_dim, PackedHeads::along_k), outs_along = queries_along;
    pack_all(cx, documents, {{&queries, &a.q}, {&outs, &a.d_o}, {&queries_along, &a.q}, {&outs_along, &a.d_o}});
    const auto tasks = tasks_of(documents, s.kv_heads);
    const int64_t group = s.heads / s.kv_heads;
    cx.pool().run(static_cast<int64_t>(tasks.size()), [&](int64_t i, int thread) {
      const Task& t = tasks[static_cast<size_t>(i)];
      const Document& d = documents[static_cast<size_t>(t.document)];
      const int64_t row = d.first + t.begin, rows = t.end - t.begin, at = t.head * s.head_dim, count = d.rows() - t.begin;
      const Strips strip(cx, thread, count, true);
      float *dk = a.dk.row<float>(row) + at, *dv = a.dv.row<float>(row) + at;
      for (int64_t g = 0; g < group; ++g) {
        const int64_t head = t.head * group + g;
        product.multiply(bf16_rows(a.k).from(row, at), rows, s.head_dim, queries.of(d, head).from(t.begin), count, strip.s, strip.stride, false);
        product.multiply(bf16_rows(a.v).from(row, at), rows, s.head_dim, outs.of(d, head).from(t.begin), count, strip.dp, strip.stride, false);
        for (int64_t r = 0; r < rows; ++r) {  // key t.begin + r is seen by queries from r on
          const int64_t o = r * strip.stride;
          zero(strip.p + o, strip.p + o + r);
          zero(strip.ds + o, strip.ds + o + r);
          kernels.score_gradient(strip.s + o + r, strip.dp + o + r, scale, sums.lse.row<float>(head) + row + r, sums.delta.row<float>(head) + row + r, 1, strip.p + o + r, strip.ds + o + r,
                                 count - r);
        }
        product.multiply({strip.p, strip.stride}, rows, count, outs_along.of(d, head).from(0, t.begin / 2), s.head_dim, dv, a.dv.row_stride(), g > 0);
        product.multiply({strip.ds, strip.stride}, rows, count, queries_along.of(d, head).from(0, t.begin / 2), s.head_dim, dk, a.dk.row_stride(), g > 0);
      }
      scale_rows(dk, rows, a.dk.row_stride());
    });
  }

  void scale_rows(float* x, int64_t rows, int64_t stride) const {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < s.head_dim; ++c) x[r * stride + c] *= scale;
  }
};

}  // namespace

bool attention_bf16_fits(const AttentionShape& s) { return s.head_dim <= 256; }

void attention_bf16(Context& cx, const AttentionArgs& a) {
  if (PackedProduct::offered(cx.unit()) && attention_bf16_fits(a.shape)) return forward(cx, a);
  const Tensor q = ops::as_f32(cx, a.q), k = ops::as_f32(cx, a.k), v = ops::as_f32(cx, a.v);
  Tensor o = Tensor::empty(a.o.shape(), DType::f32);
  attention_cpu(cx, {q, k, v, a.document_starts, o, a.lse, a.shape});
  ops::round_rows(cx, o, a.o);
}

void attention_backward_bf16(Context& cx, const AttentionBackwardArgs& a) {
  if (!PackedProduct::offered(cx.unit()) || !attention_bf16_fits(a.shape)) {
    const Tensor d_o = ops::as_f32(cx, a.d_o), q = ops::as_f32(cx, a.q), k = ops::as_f32(cx, a.k), v = ops::as_f32(cx, a.v), o = ops::as_f32(cx, a.o);
    return attention_backward_cpu(cx, {d_o, q, k, v, o, a.lse, a.document_starts, a.dq, a.dk, a.dv, a.shape});
  }
  const PackedProduct product(cx.unit());
  const auto documents = documents_of(a.document_starts);
  const HeadSums sums(cx, a);
  const Backward backward{cx, a, product, documents, sums};
  backward.queries();
  backward.keys();
}

}  // namespace lorikeet
