// Rows from documents: best fit decreasing over a window (Johnson 1973), windows drawn in the order of the epoch, so that
// rows mix anew each epoch while no document is cut, lost or doubled.
#include "core/data/packing.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "core/base/error.h"
#include "core/base/random.h"

namespace lorikeet {
namespace {

constexpr size_t kWindow = 4096;   // documents packed together
constexpr size_t kCarried = 1024;  // documents of badly filled rows that may wait for the next window
constexpr double kWellFilled = 0.97;

struct OpenRow {
  Row documents;
  int64_t tokens = 0;
};

int64_t length_of(const std::vector<EncodedSample>& documents, uint32_t d) { return static_cast<int64_t>(documents[d].ids.size()); }

std::vector<OpenRow> best_fit(const std::vector<EncodedSample>& documents, std::vector<uint32_t> window, int64_t row_length) {
  std::stable_sort(window.begin(), window.end(), [&](uint32_t a, uint32_t b) { return length_of(documents, a) > length_of(documents, b); });
  std::vector<OpenRow> rows;
  std::set<std::pair<int64_t, size_t>> room;  // free tokens of a row, its index
  for (const uint32_t d : window) {
    const int64_t length = length_of(documents, d);
    auto fit = room.lower_bound({length, 0});
    size_t row = rows.size();
    if (fit == room.end()) {
      rows.emplace_back();
    } else {
      row = fit->second;
      room.erase(fit);
    }
    rows[row].documents.push_back(d);
    rows[row].tokens += length;
    if (rows[row].tokens < row_length) room.insert({row_length - rows[row].tokens, row});
  }
  return rows;
}

std::vector<Row> pack(const std::vector<EncodedSample>& documents, const std::vector<uint32_t>& order, int64_t row_length) {
  std::vector<Row> out;
  std::vector<uint32_t> window;
  for (size_t next = 0; next < order.size();) {
    while (next < order.size() && window.size() < kWindow) window.push_back(order[next++]);
    const bool last = next == order.size();
    auto rows = best_fit(documents, std::move(window), row_length);
    window.clear();
    for (auto& row : rows) {
      const bool filled = static_cast<double>(row.tokens) >= kWellFilled * static_cast<double>(row_length);
      if (last || filled || window.size() + row.documents.size() > kCarried) out.push_back(std::move(row.documents));
      else window.insert(window.end(), row.documents.begin(), row.documents.end());
    }
  }
  return out;
}

template <class T>
void reorder(std::vector<T>& v, uint64_t seed, uint64_t stream) {
  std::vector<T> out;
  out.reserve(v.size());
  for (const uint32_t i : permutation(static_cast<uint32_t>(v.size()), seed, stream)) out.push_back(std::move(v[i]));
  v = std::move(out);
}

}  // namespace

std::vector<Row> make_rows(const std::vector<EncodedSample>& documents, int64_t row_length, bool packing, bool shuffle,
                           uint64_t seed, int64_t epoch) {
  std::vector<uint32_t> order(documents.size());
  std::iota(order.begin(), order.end(), 0u);
  const uint64_t turn = static_cast<uint64_t>(epoch);
  if (shuffle) reorder(order, seed, stream_of("data.order") + turn);
  if (!packing) {
    std::vector<Row> rows;
    rows.reserve(order.size());
    for (const uint32_t d : order) rows.push_back({d});
    return rows;
  }
  auto rows = pack(documents, order, row_length);
  if (shuffle) {
    reorder(rows, seed, stream_of("data.rows") + turn);  // best fit puts long documents first
  } else {
    for (auto& row : rows) std::sort(row.begin(), row.end());
    std::sort(rows.begin(), rows.end());
  }
  return rows;
}

double fill_share(const std::vector<EncodedSample>& documents, const std::vector<Row>& rows, int64_t row_length) {
  int64_t used = 0;
  for (const auto& row : rows)
    for (const uint32_t d : row) used += length_of(documents, d);
  const double all = static_cast<double>(rows.size()) * static_cast<double>(row_length);
  return all > 0 ? static_cast<double>(used) / all : 0;
}

TokenBatch collate(const std::vector<EncodedSample>& documents, const std::vector<Row>& rows, size_t first, size_t count) {
  TokenBatch batch;
  batch.document_starts.push_back(0);
  for (size_t r = first; r < std::min(first + count, rows.size()); ++r)
    for (const uint32_t d : rows[r]) {
      const EncodedSample& e = documents[d];
      if (e.labels.size() != e.ids.size()) throw ShapeError("collate: a document's labels and ids differ in length");
      batch.ids.insert(batch.ids.end(), e.ids.begin(), e.ids.end());
      batch.labels.insert(batch.labels.end(), e.labels.begin(), e.labels.end());
      for (size_t t = 0; t < e.ids.size(); ++t) batch.positions.push_back(static_cast<int32_t>(t));
      batch.document_starts.push_back(static_cast<int32_t>(batch.ids.size()));
    }
  return batch;
}

}  // namespace lorikeet
