/// The data of a run: read, split into training and validation, encoded.
#pragma once
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/config/run_config.h"
#include "core/data/dataset.h"
#include "core/data/encode.h"
#include "core/io/model_files.h"

namespace lorikeet::detail {

using CountProgress = std::function<void(int64_t done, int64_t total)>;

struct EncodedSet {
  std::vector<EncodedSample> documents;
  int64_t samples = 0, dropped = 0, truncated = 0;
  std::vector<std::string> dropped_reasons;  // the first few, with file and line
  std::vector<AuditFinding> audit;
};
struct TrainingData {
  EncodedSet train, validation;  // validation may be empty
  std::string format, evidence, train_hash, validation_hash;
  int64_t bad_rows = 0;
  std::vector<BadRow> bad;       // the first few
};
/// Which of `samples` samples are held out: a fraction drawn from the seed, never all of them.
std::vector<bool> held_out(int64_t samples, double fraction, int64_t seed);
/// Reads and encodes. Throws InputError (a file, row, template or token id that cannot be used; no trainable token at
/// all), Interrupted.
TrainingData read_training_data(const RunConfig& config, const ModelFiles& files, std::stop_token stop, const CountProgress& progress);
/// Every sample encoded one by one, with outcome; the building block of the above and of the planner.
/// Throws InputError for an id the model's embedding does not have.
std::vector<EncodeOutcome> encode_all(const Dataset& data, const RunConfig& config, const EncodeSettings& settings, const ModelFiles& files,
                                      std::stop_token stop, const CountProgress& progress);
/// The model's tokenizer, or one that refuses all text, so that `tokens` data can be used without any.
TokenizerPtr tokenizer_or_refusal(const ModelFiles& files);

}  // namespace lorikeet::detail
