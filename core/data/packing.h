/// From documents to rows and micro-batches: packing, order from (seed, epoch), collating.
#pragma once
#include <cstdint>
#include <vector>

#include "core/data/encode.h"
#include "core/models/model.h"

namespace lorikeet {

/// A row is a list of document numbers; with packing its tokens sum to at most `length` (best fit over a window), without
/// packing each document is a row of its own.
using Row = std::vector<uint32_t>;

/// What decides the rows of one epoch besides the documents.
struct RowSettings {
  int64_t length = 0;  // tokens of a row
  bool packing = true, shuffle = true;
  uint64_t seed = 0;
  int64_t epoch = 0;
};
/// The samples 0..samples-1 in the order of the epoch. Drawn over samples, not documents: how many documents a sample
/// gives is known only once it is tokenised, and the order must be known before.
std::vector<uint32_t> sample_order(int64_t samples, const RowSettings& settings);

/// Makes the rows of one epoch from its documents as they come, window by window: rows of a window depend on nothing
/// that comes after it, so that training may begin while later documents are still being tokenised.
class RowPacker {
 public:
  struct Document {
    uint32_t number;
    int64_t tokens;
  };
  explicit RowPacker(const RowSettings& settings) : settings_(settings) {}
  /// Takes the next document in the order of the epoch. Returns the rows that have become final, mostly none.
  std::vector<Row> add(const Document& document);
  /// The rows left, after the last document.
  std::vector<Row> finish() { return close_window(true); }

 private:
  std::vector<Row> close_window(bool last);
  std::vector<Row> pack(bool last);
  RowSettings settings_;
  std::vector<Document> window_;
  uint64_t windows_closed_ = 0;
};

/// All rows of an epoch at once. `documents` stand in the order of their samples (EncodedSample::sample), the pieces of
/// one sample side by side; `samples` counts those without a document too.
std::vector<Row> make_rows(const std::vector<EncodedSample>& documents, int64_t samples, const RowSettings& settings);
/// Tokens used / tokens of all rows.
double fill_share(const std::vector<EncodedSample>& documents, const std::vector<Row>& rows, int64_t row_length);
/// Rows one after another as one batch without padding; positions restart at each document.
TokenBatch collate(const std::vector<EncodedSample>& documents, const std::vector<Row>& rows, size_t first,
                   size_t count);

}  // namespace lorikeet
