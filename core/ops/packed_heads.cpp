#include "core/ops/packed_heads.h"

namespace lorikeet::ops {
namespace {

constexpr int kPackedSlot = 4;  // shared scratch

}  // namespace

std::vector<Document> documents_of(const Tensor& starts) {
  std::vector<Document> out;
  const int32_t* s = starts.data<int32_t>();
  int64_t at = 0;
  for (int64_t d = 0; d + 1 < starts.size(); ++d) {
    if (s[d] == s[d + 1]) continue;
    out.push_back({s[d], s[d + 1], at});
    at += whole_rows(s[d + 1] - s[d]);
  }
  return out;
}

PackedHeads::PackedHeads(const PackedProduct& product, const std::vector<Document>& documents, int64_t heads, int64_t head_dim, Way way)
    : product_(product), heads_(heads), head_dim_(head_dim), way_(way) {
  rows_ = documents.empty() ? 0 : documents.back().packed_at + whole_rows(documents.back().rows());
  words_a_row_ = way == as_columns ? product.steps(head_dim) : (head_dim + kPanelColumns - 1) / kPanelColumns * kPanelColumns / 2;
}

void PackedHeads::pack(const Tensor& t, const Document& d, int64_t head) const {
  const uint16_t* at = bf16_row(t, d.first) + head * head_dim_;
  if (way_ == as_columns) product_.pack(Bf16Operand{at, t.row_stride(), 1}, d.rows(), head_dim_, of(d, head));
  else product_.pack(Bf16Operand{at, 1, t.row_stride()}, head_dim_, d.rows(), of(d, head));
}

Packed PackedHeads::of(const Document& d, int64_t head) const {
  return {data_ + (head * rows_ + d.packed_at) * words_a_row_, way_ == as_columns ? product_.steps(head_dim_) : product_.steps(d.rows())};
}

void pack_all(Context& cx, const std::vector<Document>& documents, const std::vector<HeadSource>& sources) {
  int64_t words = 0, tasks = 0;
  for (const HeadSource& s : sources) words += s.packed->words();
  auto* at = static_cast<uint32_t*>(cx.shared_scratch(kPackedSlot, static_cast<size_t>(words) * 4));
  for (const HeadSource& s : sources) {
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

}  // namespace lorikeet::ops
