#include "core/run/detail/plan_facts.h"

#include <algorithm>
#include <cmath>

#include "core/data/packing.h"
#include "core/run/detail/batch_plan.h"

namespace lorikeet::detail {
namespace {

/// Steps looked at one by one; a longer run is taken to go on as these did.
constexpr int64_t kStepsLookedAt = 2000;
constexpr int64_t kDocumentsPacked = 50000;

DocumentSize size_of(const EncodedSample& d) { return {static_cast<int64_t>(d.ids.size()), d.target_tokens(), static_cast<uint32_t>(d.sample)}; }

struct RowSum { int64_t tokens = 0, targets = 0, longest = 0; };
RowSum sum_of(const std::vector<Row>& rows, const std::vector<DocumentSize>& sizes) {
  RowSum s;
  for (const Row& row : rows)
    for (const uint32_t d : row) {
      s.tokens += sizes[d].tokens;
      s.targets += sizes[d].targets;
      s.longest = std::max(s.longest, sizes[d].tokens);
    }
  return s;
}

void add_evaluation(BatchFacts& f, const DataFacts& data, const RunConfig& c) {
  if (data.validation.empty()) return;
  const auto rows = evaluation_rows(blank_documents(data.validation), data.validation_samples, c);
  const auto batch = static_cast<size_t>(c.training.batch_size);
  for (size_t at = 0; at < rows.size(); at += batch) {
    const auto end = rows.begin() + static_cast<std::ptrdiff_t>(std::min(at + batch, rows.size()));
    const RowSum s = sum_of({rows.begin() + static_cast<std::ptrdiff_t>(at), end}, data.validation);
    f.eval_tokens += s.tokens;
    f.most_eval_tokens = std::max(f.most_eval_tokens, s.tokens);
    f.most_eval_targets = std::max(f.most_eval_targets, s.targets);
    f.longest_document = std::max(f.longest_document, s.longest);
  }
}

}  // namespace

ModelFacts model_facts(const ModelFiles& files) {
  ModelFacts m;
  m.config = files.config();
  m.tensors = files.tensors();
  m.path = files.path();
  m.base_name = files.base_name();
  m.container = files.container();
  if (const TokenizerPtr t = files.tokenizer()) m.tokenizer_size = t->vocab_size();
  for (const auto& t : m.tensors) m.file_bytes += t.bytes;
  return m;
}

DataFacts data_facts(const TrainingData& data) {
  DataFacts f;
  f.format = data.format;
  f.samples = data.train.samples;
  f.looked_at = data.train.looked_at;
  f.text_bytes = data.text_bytes;
  f.validation_samples = data.validation.samples;
  f.dropped = data.train.dropped;
  f.truncated = data.train.truncated;
  f.bad_rows = data.bad_rows;
  if (!data.train.dropped_reasons.empty()) f.first_dropped = data.train.dropped_reasons.front();
  if (!data.bad.empty()) f.first_bad = data.bad.front().origin.file + ": " + place_of(data.bad.front().origin) + ": " + data.bad.front().reason;
  for (const auto& d : data.train.documents) {
    f.train.push_back(size_of(d));
    f.longest = std::max(f.longest, d.original_tokens);
  }
  for (const auto& d : data.validation.documents) f.validation.push_back(size_of(d));
  f.audit = data.train.audit;
  return f;
}

std::vector<EncodedSample> blank_documents(const std::vector<DocumentSize>& sizes) {
  std::vector<EncodedSample> out(sizes.size());
  for (size_t i = 0; i < sizes.size(); ++i) {
    out[i].ids.resize(static_cast<size_t>(sizes[i].tokens));
    out[i].sample = sizes[i].sample;
  }
  return out;
}

BatchFacts batch_facts(const DataFacts& data, const RunConfig& c) {
  BatchFacts f;
  const std::vector<EncodedSample> documents = blank_documents(data.train);
  // A plan follows every edit: large sets are not packed anew for each of their epochs.
  PackedRows packed(documents, data.samples, c);
  BatchPlan plan(packed, c, std::clamp<int64_t>(kDocumentsPacked / std::max<int64_t>(static_cast<int64_t>(documents.size()), 1), 1, BatchPlan::kCountedEpochs));
  f.steps = plan.total_steps();
  const int64_t first_rows = plan.rows();
  f.rows = std::llround(static_cast<double>(first_rows) * data.scale());
  f.fill = fill_share(documents, packed.rows(0, 0, first_rows), c.data.max_length);
  const int64_t looked = std::min(f.steps, kStepsLookedAt);
  for (int64_t k = 0; k < looked; ++k) {
    const auto micro_batches = plan.rows_of_step(k);
    f.most_micro_batches = std::max(f.most_micro_batches, static_cast<int64_t>(micro_batches.size()));
    for (const auto& rows : micro_batches) {
      const RowSum s = sum_of(rows, data.train);
      f.total_tokens += s.tokens;
      f.total_targets += s.targets;
      f.most_tokens = std::max(f.most_tokens, s.tokens);
      f.most_targets = std::max(f.most_targets, s.targets);
      f.longest_document = std::max(f.longest_document, s.longest);
    }
  }
  if (looked < f.steps) {
    f.total_tokens = static_cast<int64_t>(static_cast<double>(f.total_tokens) * static_cast<double>(f.steps) / static_cast<double>(looked));
    f.total_targets = static_cast<int64_t>(static_cast<double>(f.total_targets) * static_cast<double>(f.steps) / static_cast<double>(looked));
  }
  if (data.looked_at < data.samples) {  // what was not looked at may hold anything up to a full row
    f.most_tokens = f.most_targets = c.data.max_length * c.training.batch_size;
    f.longest_document = c.data.max_length;
    f.most_micro_batches = c.training.gradient_accumulation;
  }
  add_evaluation(f, data, c);
  return f;
}

}  // namespace lorikeet::detail
