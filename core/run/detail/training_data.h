/// The data of a run: read, split into training and validation, tokenised - or, of a large set in a run whose length is
/// given, tokenised as far as a first look needs, so that training need not wait for the rest.
#pragma once
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "core/config/run_config.h"
#include "core/data/dataset.h"
#include "core/data/encode.h"
#include "core/io/model_files.h"
#include "core/run/detail/row_stream.h"
#include "core/run/detail/sample_encoder.h"

namespace lorikeet::detail {

struct EncodedSet {
  std::vector<EncodedSample> documents;  // together by sample; EncodedSample::sample counts the samples of this set
  int64_t samples = 0;
  int64_t looked_at = 0;  // samples tokenised: all, or those of a first look, to which all that follows refers
  int64_t dropped = 0, truncated = 0;
  std::vector<std::string> dropped_reasons;  // the first few, with file and line
  std::vector<AuditFinding> audit;
};
struct TrainingData {
  EncodedSet train, validation;  // validation may be empty
  SamplesToCome to_come;         // of train; for a RowStream
  uint64_t text_bytes = 0;       // memory that the samples to come take until they are tokenised, about
  std::string format, evidence, train_hash, validation_hash;
  int64_t bad_rows = 0;
  std::vector<BadRow> bad;       // the first few
};
/// Samples of a first look: a window of the packer in one-document samples, and enough to plan from.
inline constexpr int64_t kFirstLook = 4096;
/// Which of `samples` samples are held out: a fraction drawn from the seed, never all of them.
std::vector<bool> held_out(int64_t samples, double fraction, int64_t seed);
/// Reads and encodes. Only a first look is taken, of `first_look` samples in the order of the first epoch, where
/// training.max_steps gives the number of steps (epochs need every row counted before the first rate can be told: an
/// estimate would change the schedule), rows are packed (else the longest document decides the memory), the set is not
/// in the token cache and has more than twice as many. Throws InputError (a file, row, template or token id that cannot
/// be used; no trainable token at all), Interrupted.
TrainingData read_training_data(const RunConfig& config, const ModelFiles& files, std::stop_token stop, const CountProgress& progress,
                                int64_t first_look = kFirstLook);
/// Every sample encoded, with outcome, by all cores or from the token cache; the building block of the planner and of
/// the commands that look at data. Throws InputError for an id the model's embedding does not have.
std::vector<EncodeOutcome> encode_all(const Dataset& data, const RunConfig& config, const EncodeSettings& settings, const ModelFiles& files,
                                      std::stop_token stop, const CountProgress& progress);

}  // namespace lorikeet::detail
