// Mean loss of a model, with or without an adapter, on token ids or on a data set.
#include <cmath>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/system.h"
#include "core/data/packing.h"
#include "core/io/npy.h"
#include "core/nn/head_loss.h"
#include "core/run/detail/data_settings.h"
#include "core/run/detail/loaded_model.h"
#include "core/run/detail/row_source.h"
#include "core/run/detail/run_setup.h"
#include "core/run/jobs.h"

namespace lorikeet {
namespace {

// Positions with a target inside their documents: hidden state t predicts labels[t + 1].
Targets targets_of(const TokenBatch& batch) {
  Targets out;
  for (size_t d = 0; d + 1 < batch.document_starts.size(); ++d)
    for (int32_t t = batch.document_starts[d]; t + 1 < batch.document_starts[d + 1]; ++t)
      if (batch.labels[static_cast<size_t>(t) + 1] >= 0) {
        out.rows.push_back(t);
        out.targets.push_back(batch.labels[static_cast<size_t>(t) + 1]);
      }
  return out;
}

TokenBatch one_document(const std::vector<int32_t>& ids) {
  TokenBatch b;
  b.ids = ids;
  b.labels = ids;
  b.labels[0] = -100;
  b.document_starts = {0, static_cast<int32_t>(ids.size())};
  for (size_t i = 0; i < ids.size(); ++i) b.positions.push_back(static_cast<int32_t>(i));
  return b;
}

class ScoreJob : public Job {
 public:
  explicit ScoreJob(ScoreRequest request) : request_(std::move(request)) {}
  JobOutcome run(std::stop_token stop, const JobEvents& events) override {
    check_request();
    detail::LoadRequest load;
    load.model = request_.model;
    load.adapter = request_.adapter;
    load.options.quantization = request_.quant;
    load.options.quant = {request_.config.quantization.double_quant, static_cast<int>(request_.config.quantization.block_size)};
    load.threads = static_cast<int>(request_.config.device.threads);
    detail::require_device(request_.config.device.kind);
    const CardScope card = detail::use_device(request_.config.device.kind);
    load.device = detail::device_of(request_.config.device.kind);
    load.compute = detail::compute_type_of(request_.config.device.compute, request_.quant, load.device);
    if (events.on_progress)
      load.progress = [&](uint64_t done, uint64_t total) { events.on_progress({"loading the model", static_cast<double>(done), static_cast<double>(total)}); };
    loaded_ = detail::load_for_use(load, stop);
    const double began = monotonic_seconds();
    const StopScope stoppable(loaded_.cx->pool(), stop);
    const int64_t tokens = request_.ids.empty() ? score_data(stop, events) : score_ids();
    finish(tokens, monotonic_seconds() - began);
    return JobOutcome::finished;
  }
  Json result() const override { return result_; }

 private:
  void check_request() const {
    if (request_.ids.empty() == request_.data.empty()) throw UsageError("give either token ids (--ids 1,2,3) or a data set (--data FILE)");
    if (!request_.logits_file.empty() && request_.ids.empty()) throw UsageError("--logits goes with --ids");
  }
  Tensor hidden_of(const TokenBatch& batch) {
    Tape tape(*loaded_.cx, false);
    return loaded_.model->forward(tape, batch, {})->value;
  }
  void add(const TokenBatch& batch, Tensor hidden) {
    const Targets targets = targets_of(batch);
    if (targets.count() == 0) return;
    loss_sum_ += head_loss(*loaded_.cx, loaded_.model->head(), std::move(hidden), targets, false, 0).loss_sum;
    target_tokens_ += targets.count();
  }
  int64_t score_ids() {
    const auto& ids = request_.ids;
    const ModelConfig& c = loaded_.model->config();
    for (size_t i = 0; i < ids.size(); ++i)
      if (ids[i] < 0 || ids[i] >= c.vocab_size)
        throw InputError("", fmt::format("id {} of --ids", i + 1), fmt::format("is {}, the model's vocabulary has {} tokens", ids[i], c.vocab_size));
    if (static_cast<int64_t>(ids.size()) > c.max_positions)
      throw InputError("", "--ids", fmt::format("has {} tokens, the model's context holds {}", ids.size(), c.max_positions));
    const TokenBatch batch = one_document(ids);
    const Tensor hidden = hidden_of(batch);
    if (!request_.logits_file.empty()) write_npy(request_.logits_file, logits_of(*loaded_.cx, *loaded_.model, hidden));
    add(batch, hidden);
    return batch.tokens();
  }
  int64_t score_data(std::stop_token stop, const JobEvents& events) {
    const auto encoded = detail::encode_dataset({request_.data}, request_.config, *loaded_.files, stop);
    detail::require_targets(encoded, {request_.data});
    const auto documents = encoded.documents();
    const auto rows = detail::evaluation_rows(documents, static_cast<int64_t>(encoded.data.samples.size()), request_.config);
    for (size_t r = 0; r < rows.size(); ++r) {
      if (events.on_progress) events.on_progress({"scoring", static_cast<double>(r), static_cast<double>(rows.size())});
      const TokenBatch batch = collate(documents, rows, r, 1);
      add(batch, hidden_of(batch));
    }
    return encoded.tokens;
  }
  void finish(int64_t tokens, double seconds) {
    const double loss = target_tokens_ > 0 ? loss_sum_ / static_cast<double>(target_tokens_) : std::nan("");
    result_ = {{"loss", loss}, {"perplexity", std::exp(loss)}, {"target_tokens", target_tokens_}, {"tokens", tokens},
               {"tokens_per_s", seconds > 0 ? static_cast<double>(tokens) / seconds : 0}};
    if (!request_.logits_file.empty()) result_["logits"] = request_.logits_file;
  }

  ScoreRequest request_;
  detail::LoadedModel loaded_;
  double loss_sum_ = 0;
  int64_t target_tokens_ = 0;
  Json result_;
};

}  // namespace

std::unique_ptr<Job> make_score_job(ScoreRequest request) { return std::make_unique<ScoreJob>(std::move(request)); }

}  // namespace lorikeet
