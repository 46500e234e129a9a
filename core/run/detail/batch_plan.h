/// Which rows each optimizer step of a run takes, as a pure function of (data, settings, step): nothing to remember,
/// so a continued run takes the same rows as an unbroken one.
#pragma once
#include <cstdint>
#include <stop_token>
#include <vector>

#include "core/config/run_config.h"
#include "core/run/detail/row_source.h"

namespace lorikeet::detail {

class BatchPlan {
 public:
  /// Keeps a reference to the source. With training.max_steps the total is known without looking at a row; otherwise the
  /// rows of the first `counted` epochs are counted for it, later ones are taken to have as many (packing gives each
  /// order its own number of rows). Waiting for rows ends with Interrupted when `stop` is set.
  BatchPlan(RowSource& rows, const RunConfig& config, int64_t counted = kCountedEpochs, std::stop_token stop = {});
  static constexpr int64_t kCountedEpochs = 64;
  /// max_steps when set, else the steps of all epochs: each epoch has ceil(rows / (batch_size * gradient_accumulation)),
  /// a last part of an epoch its share, rounded up.
  int64_t total_steps() const { return total_; }
  int64_t steps_of_epoch(int64_t epoch, std::stop_token stop = {});
  /// Rows of the micro-batches of step k (from 0). The last step of an epoch may have fewer.
  std::vector<std::vector<Row>> rows_of_step(int64_t k, std::stop_token stop = {});
  /// Epochs done after k steps: whole ones, and of the last the share of its samples whose rows were taken. Asks for no
  /// row beyond those steps, so that the answer does not depend on how far the data are tokenised.
  double epochs_after(int64_t k, std::stop_token stop = {});
  /// Rows of the first epoch.
  int64_t rows() { return source_.row_count(0, {}); }

 private:
  struct Place { int64_t epoch, step; };
  Place place_of(int64_t k, std::stop_token stop);
  RowSource& source_;
  int64_t batch_size_, accumulation_;
  bool alike_;                        // every epoch has as many rows
  int64_t total_ = 0;
  std::vector<int64_t> epoch_steps_;  // of the epochs counted so far
};

}  // namespace lorikeet::detail
