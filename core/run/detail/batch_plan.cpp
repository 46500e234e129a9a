#include "core/run/detail/batch_plan.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"

namespace lorikeet::detail {

BatchPlan::BatchPlan(const std::vector<EncodedSample>& documents, const RunConfig& c, int64_t counted)
    : documents_(documents), row_length_(c.data.max_length), batch_size_(c.training.batch_size),
      accumulation_(c.training.gradient_accumulation), packing_(c.data.packing), shuffle_(c.data.shuffle),
      seed_(static_cast<uint64_t>(c.training.seed)) {
  if (c.training.max_steps > 0) {
    total_ = c.training.max_steps;
    return;
  }
  const auto whole = static_cast<int64_t>(std::floor(c.training.epochs)), exact = std::min(whole, std::max<int64_t>(counted, 1));
  const double rest = c.training.epochs - static_cast<double>(whole);
  for (int64_t e = 0; e < exact; ++e) total_ += steps_of_epoch(e);
  if (whole > exact) total_ = std::llround(static_cast<double>(total_) * static_cast<double>(whole) / static_cast<double>(exact));
  if (rest > 0) total_ += static_cast<int64_t>(std::ceil(rest * static_cast<double>(steps_of_epoch(std::min(whole, exact))) - 1e-9));
  total_ = std::max<int64_t>(total_, 1);
}

void BatchPlan::load(int64_t epoch) {
  if (loaded_ == epoch) return;
  rows_ = make_rows(documents_, row_length_, packing_, shuffle_, seed_, epoch);
  if (rows_.empty()) throw RunError("the training data gives no row");
  loaded_ = epoch;
}

int64_t BatchPlan::steps_of_epoch(int64_t epoch) {
  while (static_cast<int64_t>(epoch_steps_.size()) <= epoch) {
    // Without packing every epoch has one row a document; with it the rows depend on the order.
    if (!packing_ || !shuffle_)
      if (!epoch_steps_.empty()) {
        epoch_steps_.push_back(epoch_steps_.front());
        continue;
      }
    load(static_cast<int64_t>(epoch_steps_.size()));
    const int64_t a_step = batch_size_ * accumulation_;
    epoch_steps_.push_back((static_cast<int64_t>(rows_.size()) + a_step - 1) / a_step);
  }
  return epoch_steps_[static_cast<size_t>(epoch)];
}

BatchPlan::Place BatchPlan::place_of(int64_t k) {
  int64_t epoch = 0;
  while (k >= steps_of_epoch(epoch)) k -= steps_of_epoch(epoch++);
  return {epoch, k};
}

double BatchPlan::epochs_after(int64_t k) {
  const Place p = place_of(k);
  return static_cast<double>(p.epoch) + static_cast<double>(p.step) / static_cast<double>(steps_of_epoch(p.epoch));
}

std::vector<std::vector<Row>> BatchPlan::rows_of_step(int64_t k) {
  const Place p = place_of(k);
  load(p.epoch);
  const auto count = static_cast<int64_t>(rows_.size());
  const int64_t begin = p.step * batch_size_ * accumulation_, end = std::min(begin + batch_size_ * accumulation_, count);
  std::vector<std::vector<Row>> out;
  for (int64_t at = begin; at < end; at += batch_size_)
    out.emplace_back(rows_.begin() + at, rows_.begin() + std::min(at + batch_size_, end));
  return out;
}

std::vector<TokenBatch> BatchPlan::batches_of_step(int64_t k) {
  std::vector<TokenBatch> out;
  for (const auto& rows : rows_of_step(k)) out.push_back(collate(documents_, rows, 0, rows.size()));
  return out;
}

int64_t BatchPlan::rows() {
  load(0);
  return static_cast<int64_t>(rows_.size());
}

}  // namespace lorikeet::detail
