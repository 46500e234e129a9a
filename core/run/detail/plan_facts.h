/// What a plan is made from: sizes only, no weights and no texts. The planner and the train job fill the same structs.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/data/encode.h"
#include "core/io/model_files.h"
#include "core/run/detail/training_data.h"

namespace lorikeet::detail {

struct ModelFacts {
  ModelConfig config;
  std::vector<ModelTensorInfo> tensors;
  std::string path, base_name, container;
  int64_t tokenizer_size = 0;  // entries, 0 = no tokenizer
  uint64_t file_bytes = 0;
};
ModelFacts model_facts(const ModelFiles& files);

/// One document as it will be trained on.
struct DocumentSize { int64_t tokens = 0, targets = 0; uint32_t sample = 0; };
struct DataFacts {
  std::string format;
  int64_t looked_at = 0;  // samples of `train` that were tokenised, to which all but `samples` refers: all or a first look
  int64_t samples = 0, validation_samples = 0, dropped = 0, truncated = 0, bad_rows = 0, longest = 0;
  std::string first_dropped, first_bad;
  std::vector<DocumentSize> train, validation;
  uint64_t text_bytes = 0;  // memory of the samples not yet tokenised
  std::vector<AuditFinding> audit;
  /// What figures of the samples looked at are multiplied by to stand for all.
  double scale() const { return looked_at > 0 ? static_cast<double>(samples) / static_cast<double>(looked_at) : 1; }
};
DataFacts data_facts(const TrainingData& data);

/// Documents without content, so that packing can be planned from sizes.
std::vector<EncodedSample> blank_documents(const std::vector<DocumentSize>& sizes);

/// Largest micro-batch of the run, which decides the memory, and the sums over the run.
struct BatchFacts {
  int64_t steps = 0, rows = 0;
  double fill = 0;                                      // share of the places of the first epoch's rows that hold a token
  int64_t most_tokens = 0, most_targets = 0;            // of one micro-batch of training
  int64_t most_micro_batches = 1;                       // of one step
  int64_t most_eval_tokens = 0, most_eval_targets = 0;  // of one of evaluation
  int64_t longest_document = 0;                         // the rope table and the attention blocks follow it
  int64_t total_tokens = 0, total_targets = 0, eval_tokens = 0;  // over all steps; eval of one evaluation
};
BatchFacts batch_facts(const DataFacts& data, const RunConfig& config);

}  // namespace lorikeet::detail
