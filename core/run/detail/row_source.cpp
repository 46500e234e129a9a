#include "core/run/detail/row_source.h"

#include <algorithm>
#include <iterator>

#include "core/base/error.h"

namespace lorikeet::detail {

RowSettings row_settings(const RunConfig& c, int64_t epoch) {
  return {.length = c.data.max_length, .packing = c.data.packing, .shuffle = c.data.shuffle, .seed = static_cast<uint64_t>(c.training.seed), .epoch = epoch};
}

std::vector<Row> evaluation_rows(const std::vector<EncodedSample>& documents, int64_t samples, const RunConfig& c) {
  return make_rows(documents, samples, {.length = c.data.max_length, .packing = c.data.packing, .shuffle = false});
}

void EpochRows::add(std::vector<Row>&& rows, int64_t samples_taken) {
  if (rows.empty()) return;
  std::move(rows.begin(), rows.end(), std::back_inserter(rows_));
  marks_.push_back({size(), samples_taken});
}

double EpochRows::progress(int64_t row) const {
  Mark before{0, 0};
  for (const Mark& m : marks_) {
    if (row <= m.rows) {
      const double part = static_cast<double>(row - before.rows) / static_cast<double>(m.rows - before.rows);
      const double taken = static_cast<double>(before.samples) + part * static_cast<double>(m.samples - before.samples);
      return taken / static_cast<double>(std::max<int64_t>(samples_, 1));
    }
    before = m;
  }
  return 1;
}

void DocumentsOfSamples::set_all(const std::vector<EncodedSample>& documents) {
  for (uint32_t d = 0; d < documents.size();) {
    const uint32_t begin = d;
    const size_t sample = documents[d].sample;
    if (sample >= places_.size()) throw ShapeError("a document belongs to no sample");
    while (d < documents.size() && documents[d].sample == sample) ++d;
    set(static_cast<uint32_t>(sample), begin, d);
  }
}

PackedRows::PackedRows(const std::vector<EncodedSample>& documents, int64_t samples, const RunConfig& config)
    : documents_(documents), places_(samples), samples_(samples), config_(config) {
  places_.set_all(documents);
}

const EpochRows& PackedRows::load(int64_t epoch) {
  if (loaded_ == epoch) return epoch_;
  const RowSettings settings = row_settings(config_, epoch);
  EpochRows made(samples_);
  RowPacker packer(settings);
  int64_t taken = 0;
  for (const uint32_t s : sample_order(samples_, settings)) {
    const auto [begin, end] = places_.of(s);
    for (uint32_t d = begin; d < end; ++d) made.add(packer.add({d, static_cast<int64_t>(documents_[d].ids.size())}), taken);
    ++taken;
  }
  made.add(packer.finish(), samples_);
  if (made.size() == 0) throw RunError("the training data gives no row");
  epoch_ = std::move(made);
  loaded_ = epoch;
  return epoch_;
}

std::vector<Row> PackedRows::rows(int64_t epoch, int64_t begin, int64_t end, std::stop_token) {
  const auto& all = load(epoch).rows();
  const auto count = static_cast<int64_t>(all.size());
  return {all.begin() + std::min(begin, count), all.begin() + std::min(end, count)};
}

int64_t PackedRows::row_count(int64_t epoch, std::stop_token) { return load(epoch).size(); }

double PackedRows::progress(int64_t epoch, int64_t row) { return load(epoch).progress(row); }

}  // namespace lorikeet::detail
