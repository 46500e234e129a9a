#include "core/run/detail/batch_plan.h"

#include <algorithm>
#include <cmath>

namespace lorikeet::detail {

BatchPlan::BatchPlan(RowSource& rows, const RunConfig& c, int64_t counted, std::stop_token stop)
    : source_(rows), batch_size_(c.training.batch_size), accumulation_(c.training.gradient_accumulation), alike_(!c.data.packing || !c.data.shuffle) {
  if (c.training.max_steps > 0) {
    total_ = c.training.max_steps;
    return;
  }
  const auto whole = static_cast<int64_t>(std::floor(c.training.epochs)), exact = std::min(whole, std::max<int64_t>(counted, 1));
  const double rest = c.training.epochs - static_cast<double>(whole);
  for (int64_t e = 0; e < exact; ++e) total_ += steps_of_epoch(e, stop);
  if (whole > exact) total_ = std::llround(static_cast<double>(total_) * static_cast<double>(whole) / static_cast<double>(exact));
  if (rest > 0) total_ += static_cast<int64_t>(std::ceil(rest * static_cast<double>(steps_of_epoch(std::min(whole, exact), stop)) - 1e-9));
  total_ = std::max<int64_t>(total_, 1);
}

int64_t BatchPlan::steps_of_epoch(int64_t epoch, std::stop_token stop) {
  while (static_cast<int64_t>(epoch_steps_.size()) <= epoch) {
    // Without packing every epoch has one row a document; with it the rows depend on the order.
    if (alike_ && !epoch_steps_.empty()) {
      epoch_steps_.push_back(epoch_steps_.front());
      continue;
    }
    const int64_t a_step = batch_size_ * accumulation_;
    epoch_steps_.push_back((source_.row_count(static_cast<int64_t>(epoch_steps_.size()), stop) + a_step - 1) / a_step);
  }
  return epoch_steps_[static_cast<size_t>(epoch)];
}

BatchPlan::Place BatchPlan::place_of(int64_t k, std::stop_token stop) {
  for (int64_t epoch = 0;; ++epoch) {
    const bool counted = static_cast<int64_t>(epoch_steps_.size()) > epoch;
    const int64_t first_row = k * batch_size_ * accumulation_;
    // The first row of the step is enough to know that the step is there; the whole epoch need not be.
    if (counted ? k < steps_of_epoch(epoch) : !source_.rows(epoch, first_row, first_row + 1, stop).empty()) return {epoch, k};
    k -= steps_of_epoch(epoch, stop);
  }
}

double BatchPlan::epochs_after(int64_t k, std::stop_token stop) {
  if (k <= 0) return 0;
  const Place last = place_of(k - 1, stop);
  const int64_t a_step = batch_size_ * accumulation_, first_row = last.step * a_step;
  const auto rows = static_cast<int64_t>(source_.rows(last.epoch, first_row, first_row + a_step, stop).size());
  return static_cast<double>(last.epoch) + source_.progress(last.epoch, first_row + rows);
}

std::vector<std::vector<Row>> BatchPlan::rows_of_step(int64_t k, std::stop_token stop) {
  const Place p = place_of(k, stop);
  const int64_t a_step = batch_size_ * accumulation_;
  const std::vector<Row> rows = source_.rows(p.epoch, p.step * a_step, (p.step + 1) * a_step, stop);
  const auto count = static_cast<int64_t>(rows.size());
  std::vector<std::vector<Row>> out;
  for (int64_t at = 0; at < count; at += batch_size_) out.emplace_back(rows.begin() + at, rows.begin() + std::min(at + batch_size_, count));
  return out;
}

}  // namespace lorikeet::detail
