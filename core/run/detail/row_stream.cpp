#include "core/run/detail/row_stream.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <limits>

#include "core/base/error.h"

namespace lorikeet::detail {
namespace {

/// The steps come first: tokenising is far faster than training and lives on what they leave.
void lower_priority_of_this_thread() {
  constexpr int kNice = 10;
  (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kNice);  // Linux: of one thread
}

}  // namespace

RowStream::RowStream(std::vector<EncodedSample> documents, int64_t samples, const RunConfig& config, SamplesToCome to_come)
    : config_(config), samples_(samples), to_come_(std::move(to_come)), documents_(std::move(documents)), places_(samples),
      encoded_(to_come_.encode ? to_come_.known : samples) {
  places_.set_all(documents_);
  thread_ = std::jthread([this](std::stop_token stop) { produce(stop); });
}

void RowStream::produce(std::stop_token stop) {
  lower_priority_of_this_thread();
  try {
    while (const auto epoch = next_epoch(stop)) make_epoch(*epoch, stop);
  } catch (...) {
    const std::lock_guard lock(mutex_);
    error_ = std::current_exception();
    rows_added_.notify_all();
  }
}

std::optional<int64_t> RowStream::missing_epoch() const {
  if (encoded_ < samples_) return 0;  // samples are tokenised in the order of the first epoch
  for (const int64_t e : {wanted_, wanted_ + 1})
    if (!epochs_.contains(e)) return e;
  return std::nullopt;
}

std::optional<int64_t> RowStream::next_epoch(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  wanted_changed_.wait(lock, stop, [this] { return missing_epoch().has_value(); });
  if (stop.stop_requested()) return std::nullopt;  // the wait tells of a missing epoch even then
  std::erase_if(epochs_, [this](const auto& e) { return e.first != wanted_ && e.first != wanted_ + 1; });
  const int64_t epoch = *missing_epoch();
  epochs_.insert_or_assign(epoch, Epoch{EpochRows(samples_)});
  return epoch;
}

void RowStream::make_epoch(int64_t epoch, std::stop_token stop) {
  const RowSettings settings = row_settings(config_, epoch);
  RowPacker packer(settings);
  const bool encodes = encoded_ < samples_;
  int64_t taken = 0;
  for (const uint32_t s : sample_order(samples_, settings)) {
    if (stop.stop_requested()) return;
    if (encodes && taken >= to_come_.known) encode(s);
    const auto [begin, end] = places_.of(s);
    for (uint32_t d = begin; d < end; ++d)
      if (auto rows = packer.add({d, static_cast<int64_t>(documents_[d].ids.size())}); !rows.empty()) publish(epoch, std::move(rows), taken, false);
    ++taken;
  }
  publish(epoch, packer.finish(), samples_, true);
  if (!encodes) return;
  if (to_come_.done) to_come_.done();
  to_come_ = {};  // gives back what is left of the texts
}

void RowStream::encode(uint32_t sample) {
  std::vector<EncodedSample> made = to_come_.encode(sample);
  const std::lock_guard lock(mutex_);
  const auto begin = static_cast<uint32_t>(documents_.size());
  std::move(made.begin(), made.end(), std::back_inserter(documents_));
  places_.set(sample, begin, static_cast<uint32_t>(documents_.size()));
  ++encoded_;
}

void RowStream::publish(int64_t epoch, std::vector<Row>&& rows, int64_t samples_taken, bool whole) {
  const std::lock_guard lock(mutex_);
  Epoch& e = epochs_.at(epoch);  // only the thread itself removes epochs
  e.rows.add(std::move(rows), samples_taken);
  e.whole = whole;
  if (whole && e.rows.size() == 0) throw RunError("the training data gives no row");
  rows_added_.notify_all();
}

const EpochRows& RowStream::wait_for(std::unique_lock<std::mutex>& lock, int64_t epoch, int64_t count, std::stop_token stop) {
  if (wanted_ != epoch) {
    wanted_ = epoch;
    wanted_changed_.notify_all();
  }
  const auto there = [&] {
    const auto e = epochs_.find(epoch);
    return error_ || (e != epochs_.end() && (e->second.whole || e->second.rows.size() >= count));
  };
  if (!rows_added_.wait(lock, stop, there)) throw Interrupted("waiting for the data was stopped");
  if (error_) std::rethrow_exception(error_);
  return epochs_.at(epoch).rows;
}

std::vector<Row> RowStream::rows(int64_t epoch, int64_t begin, int64_t end, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  const auto& all = wait_for(lock, epoch, end, std::move(stop)).rows();
  const auto count = static_cast<int64_t>(all.size());
  return {all.begin() + std::min(begin, count), all.begin() + std::min(end, count)};
}

int64_t RowStream::row_count(int64_t epoch, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  return wait_for(lock, epoch, std::numeric_limits<int64_t>::max(), std::move(stop)).size();
}

double RowStream::progress(int64_t epoch, int64_t row) {
  std::unique_lock lock(mutex_);
  return wait_for(lock, epoch, row, {}).progress(row);
}

TokenBatch RowStream::collate(const std::vector<Row>& rows) {
  const std::lock_guard lock(mutex_);
  return lorikeet::collate(documents_, rows, 0, rows.size());
}

int64_t RowStream::samples_encoded() const {
  const std::lock_guard lock(mutex_);
  return encoded_;
}

}  // namespace lorikeet::detail
