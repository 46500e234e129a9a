/// From documents to rows and micro-batches: packing, order from (seed, epoch), collating.
#pragma once
#include <cstdint>
#include <vector>

#include "core/data/encode.h"
#include "core/models/model.h"

namespace lorikeet {

/// A row is a list of document indexes; with packing its tokens sum to at most `row_length` (best fit over a window,
/// order seedable), without packing each document is a row of its own.
using Row = std::vector<uint32_t>;
std::vector<Row> make_rows(const std::vector<EncodedSample>& documents, int64_t row_length, bool packing, bool shuffle,
                           uint64_t seed, int64_t epoch);
/// Tokens used / tokens of all rows.
double fill_share(const std::vector<EncodedSample>& documents, const std::vector<Row>& rows, int64_t row_length);
/// Rows one after another as one batch without padding; positions restart at each document.
TokenBatch collate(const std::vector<EncodedSample>& documents, const std::vector<Row>& rows, size_t first,
                   size_t count);

}  // namespace lorikeet
