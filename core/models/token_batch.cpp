/// Packed documents: what must hold of them, their targets, and filling up to a size.
#include <algorithm>
#include <string>

#include "core/base/error.h"
#include "core/models/model.h"

namespace lorikeet {

void check_token_ids(const std::vector<int32_t>& ids, int64_t vocabulary) {
  for (size_t i = 0; i < ids.size(); ++i)
    if (ids[i] < 0 || ids[i] >= vocabulary)
      throw ShapeError("forward: id " + std::to_string(ids[i]) + " at token " + std::to_string(i) + "; the table has " + std::to_string(vocabulary) + " rows");
}

void check_batch(const TokenBatch& b, int64_t vocabulary) {
  const size_t n = b.ids.size();
  if (n == 0 || b.positions.size() != n || b.document_starts.size() < 2 || b.document_starts.front() != 0 ||
      b.document_starts.back() != static_cast<int32_t>(n) || (!b.labels.empty() && b.labels.size() != n))
    throw ShapeError("forward: a batch of " + std::to_string(n) + " ids with " + std::to_string(b.positions.size()) +
                     " positions, " + std::to_string(b.labels.size()) + " labels and " +
                     std::to_string(b.document_starts.size()) + " document offsets does not fit together");
  if (*std::min_element(b.positions.begin(), b.positions.end()) < 0)
    throw ShapeError("forward: a position is negative");
  if (!std::is_sorted(b.document_starts.begin(), b.document_starts.end())) throw ShapeError("forward: document offsets must rise");
  check_token_ids(b.ids, vocabulary);
}

Targets target_rows(const TokenBatch& batch) {
  Targets out;
  size_t document = 0;
  for (size_t t = 0; t < batch.labels.size(); ++t) {
    while (document < batch.document_starts.size() && static_cast<size_t>(batch.document_starts[document]) < t)
      ++document;
    const bool first =
        document < batch.document_starts.size() && static_cast<size_t>(batch.document_starts[document]) == t;
    if (first || batch.labels[t] < 0) continue;
    out.rows.push_back(static_cast<int32_t>(t) - 1);
    out.targets.push_back(batch.labels[t]);
  }
  return out;
}

int64_t TokenBatch::target_tokens() const { return target_rows(*this).count(); }

TokenBatch filled_up(const TokenBatch& batch, int64_t tokens, int64_t documents) {
  TokenBatch out = batch;
  const auto had = static_cast<size_t>(batch.tokens()), wanted = static_cast<size_t>(std::max(tokens, batch.tokens()));
  out.ids.resize(wanted, 0);
  if (!out.labels.empty()) out.labels.resize(wanted, -100);
  for (size_t t = had; t < wanted; ++t) out.positions.push_back(static_cast<int32_t>(t - had));
  if (wanted > had) out.document_starts.push_back(static_cast<int32_t>(wanted));
  while (static_cast<int64_t>(out.document_starts.size()) <= documents) out.document_starts.push_back(static_cast<int32_t>(wanted));
  return out;
}

}  // namespace lorikeet
