/// Where the rows of an epoch come from. Rows are a pure function of (data, settings, epoch), whether they are made at
/// once or while the steps before them are trained.
#pragma once
#include <cstdint>
#include <stop_token>
#include <vector>

#include "core/config/run_config.h"
#include "core/data/packing.h"

namespace lorikeet::detail {

RowSettings row_settings(const RunConfig& config, int64_t epoch);
/// The rows evaluated on: in the order of the file, the same in every evaluation.
std::vector<Row> evaluation_rows(const std::vector<EncodedSample>& documents, int64_t samples, const RunConfig& config);

class RowSource {
 public:
  virtual ~RowSource() = default;
  /// Rows [begin, end) of an epoch; fewer only where the epoch ends before. May wait; throws Interrupted when `stop` was
  /// set meanwhile, and what went wrong while the data were tokenised.
  virtual std::vector<Row> rows(int64_t epoch, int64_t begin, int64_t end, std::stop_token stop) = 0;
  /// All rows of an epoch; waits for the last.
  virtual int64_t row_count(int64_t epoch, std::stop_token stop) = 0;
  /// Share of the epoch's samples behind its first `row` rows, which are known already. 1 at its end.
  virtual double progress(int64_t epoch, int64_t row) = 0;
};

/// Rows of an epoch and how many samples had been taken when they became final.
class EpochRows {
 public:
  explicit EpochRows(int64_t samples) : samples_(samples) {}
  void add(std::vector<Row>&& rows, int64_t samples_taken);
  const std::vector<Row>& rows() const { return rows_; }
  int64_t size() const { return static_cast<int64_t>(rows_.size()); }
  /// Between two windows in proportion to the rows.
  double progress(int64_t row) const;

 private:
  struct Mark { int64_t rows, samples; };
  int64_t samples_;
  std::vector<Row> rows_;
  std::vector<Mark> marks_;
};

/// The documents of each sample of a set, by number.
class DocumentsOfSamples {
 public:
  explicit DocumentsOfSamples(int64_t samples) : places_(static_cast<size_t>(samples)) {}
  /// Documents [begin, end) are those of `sample`.
  void set(uint32_t sample, uint32_t begin, uint32_t end) { places_[sample] = {begin, end}; }
  /// From documents that stand together by sample (EncodedSample::sample).
  void set_all(const std::vector<EncodedSample>& documents);
  std::pair<uint32_t, uint32_t> of(uint32_t sample) const { return places_[sample]; }

 private:
  std::vector<std::pair<uint32_t, uint32_t>> places_;
};

/// All documents are there; an epoch's rows are made when first asked for. Keeps a reference to the documents, of which
/// only lengths and samples are looked at.
class PackedRows final : public RowSource {
 public:
  PackedRows(const std::vector<EncodedSample>& documents, int64_t samples, const RunConfig& config);
  std::vector<Row> rows(int64_t epoch, int64_t begin, int64_t end, std::stop_token stop = {}) override;
  int64_t row_count(int64_t epoch, std::stop_token stop = {}) override;
  double progress(int64_t epoch, int64_t row) override;

 private:
  const EpochRows& load(int64_t epoch);
  const std::vector<EncodedSample>& documents_;
  DocumentsOfSamples places_;
  int64_t samples_;
  RunConfig config_;
  int64_t loaded_ = -1;
  EpochRows epoch_{0};
};

}  // namespace lorikeet::detail
