/// The rows of a run, made by a thread of their own ahead of the steps that take them: it tokenises the samples that are
/// still text, in the order of the first epoch, and packs them window by window; later epochs are packed while the one
/// before is trained. What comes out is what PackedRows makes of the same data, row for row.
#pragma once
#include <condition_variable>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "core/run/detail/row_source.h"

namespace lorikeet::detail {

/// The samples of a set that are still to be tokenised.
struct SamplesToCome {
  /// The documents of one sample, EncodedSample::sample set; called once for each, by the thread of the stream. What it
  /// throws is thrown by the next call for rows, whether or not a step would have needed that sample.
  std::function<std::vector<EncodedSample>(uint32_t sample)> encode;
  std::function<void()> done;  // after the last one; not called when the stream ends before
  int64_t known = 0;           // the first so many samples in the order of epoch 0 are tokenised already
};

class RowStream final : public RowSource {
 public:
  /// `documents` stand together by sample. Without `to_come.encode` they are all there are.
  RowStream(std::vector<EncodedSample> documents, int64_t samples, const RunConfig& config, SamplesToCome to_come = {});
  ~RowStream() override = default;  // stops the thread within one sample and waits for it

  std::vector<Row> rows(int64_t epoch, int64_t begin, int64_t end, std::stop_token stop) override;
  int64_t row_count(int64_t epoch, std::stop_token stop) override;
  double progress(int64_t epoch, int64_t row) override;
  TokenBatch collate(const std::vector<Row>& rows);
  /// Samples tokenised so far.
  int64_t samples_encoded() const;

 private:
  struct Epoch {
    EpochRows rows;
    bool whole = false;
  };
  void produce(std::stop_token stop);
  std::optional<int64_t> next_epoch(std::stop_token stop);
  std::optional<int64_t> missing_epoch() const;
  void make_epoch(int64_t epoch, std::stop_token stop);
  void encode(uint32_t sample);
  void publish(int64_t epoch, std::vector<Row>&& rows, int64_t samples_taken, bool whole);
  /// Waits until the epoch has `count` rows or is whole.
  const EpochRows& wait_for(std::unique_lock<std::mutex>& lock, int64_t epoch, int64_t count, std::stop_token stop);

  const RunConfig config_;
  const int64_t samples_;
  SamplesToCome to_come_;  // of the thread alone
  mutable std::mutex mutex_;
  std::condition_variable_any wanted_changed_, rows_added_;
  std::vector<EncodedSample> documents_;  // written by the thread under the lock, read by it without
  DocumentsOfSamples places_;             // of the thread alone
  std::map<int64_t, Epoch> epochs_;       // the wanted one and the next
  int64_t wanted_ = 0, encoded_;
  std::exception_ptr error_;
  std::jthread thread_;  // the last member: it uses the others
};

}  // namespace lorikeet::detail
