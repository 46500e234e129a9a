/// Which rows each optimizer step of a run takes, as a pure function of (data, settings, step): nothing to remember,
/// so a continued run takes the same rows as an unbroken one.
#pragma once
#include <cstdint>
#include <vector>

#include "core/config/run_config.h"
#include "core/data/packing.h"

namespace lorikeet::detail {

class BatchPlan {
 public:
  /// Keeps a reference to the documents. The rows of the first `counted` epochs are counted for the total, later ones
  /// are taken to have as many (packing gives each order its own number of rows).
  BatchPlan(const std::vector<EncodedSample>& documents, const RunConfig& config, int64_t counted = kCountedEpochs);
  static constexpr int64_t kCountedEpochs = 64;
  /// max_steps when set, else the steps of all epochs: each epoch has ceil(rows / (batch_size * gradient_accumulation)),
  /// a last part of an epoch its share, rounded up.
  int64_t total_steps() const { return total_; }
  int64_t steps_of_epoch(int64_t epoch);
  /// Rows of the micro-batches of step k (from 0). The last step of an epoch may have fewer.
  std::vector<std::vector<Row>> rows_of_step(int64_t k);
  std::vector<TokenBatch> batches_of_step(int64_t k);
  /// Epochs done after k steps.
  double epochs_after(int64_t k);
  /// Rows of the first epoch.
  int64_t rows();

 private:
  struct Place { int64_t epoch, step; };
  Place place_of(int64_t k);
  void load(int64_t epoch);
  const std::vector<EncodedSample>& documents_;
  int64_t row_length_, batch_size_, accumulation_;
  bool packing_, shuffle_;
  uint64_t seed_;
  int64_t total_ = 0, loaded_ = -1;
  std::vector<Row> rows_;                // of epoch loaded_
  std::vector<int64_t> epoch_steps_;     // of the epochs looked at so far
};

}  // namespace lorikeet::detail
