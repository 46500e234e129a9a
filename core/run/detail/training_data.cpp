#include "core/run/detail/training_data.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/run/detail/data_settings.h"
#include "core/run/detail/loaded_model.h"

namespace lorikeet::detail {
namespace {

constexpr size_t kShownReasons = 20;

/// Stands in where a model has no tokenizer: `tokens` data never asks it, anything else gets the reason.
class MissingTokenizer final : public Tokenizer {
 public:
  MissingTokenizer(std::string path, int64_t vocabulary) : path_(std::move(path)), vocabulary_(vocabulary) {}
  std::vector<TokenPiece> encode_pieces(std::string_view, EncodeOptions) const override { refuse(); }
  std::string decode(const std::vector<int32_t>&) const override { refuse(); }
  std::string token_bytes(int32_t) const override { return {}; }
  std::string token_text(int32_t) const override { return {}; }
  std::optional<int32_t> id_of(std::string_view) const override { return std::nullopt; }
  bool is_special(int32_t) const override { return false; }
  int64_t vocab_size() const override { return vocabulary_; }  // what the model can embed
  std::string kind() const override { return "none"; }
  std::string fingerprint() const override { return {}; }

 private:
  [[noreturn]] void refuse() const {
    throw InputError(path_, "", "has no tokenizer, so text cannot be used with it; give token ids (data.format=tokens)");
  }
  std::string path_;
  int64_t vocabulary_;
};


void check_ids(const EncodeOutcome& outcome, const Sample& sample, const ModelFiles& files) {
  const int64_t vocab = files.config().vocab_size;
  for (const auto& d : outcome.documents)
    for (const int32_t id : d.ids)
      if (id < 0 || id >= vocab)
        throw InputError(sample.origin.file, place_of(sample.origin),
                         fmt::format("gives token id {}, but the model's vocabulary ends at {}; is this the right model or tokenizer?", id, vocab - 1));
}

EncodedSet gather(const Dataset& data, std::vector<EncodeOutcome> outcomes, const Tokenizer* tokenizer) {
  EncodedSet set;
  set.samples = static_cast<int64_t>(outcomes.size());
  if (tokenizer) set.audit = audit(data, outcomes, *tokenizer);  // without one nothing is known of end tokens
  for (size_t i = 0; i < outcomes.size(); ++i) {
    if (outcomes[i].documents.empty()) {
      ++set.dropped;
      const SampleOrigin& o = data.samples[i].origin;
      if (set.dropped_reasons.size() < kShownReasons)
        set.dropped_reasons.push_back(fmt::format("{}: {}: {}", o.file, place_of(o), outcomes[i].dropped_reason));
    }
    bool cut = false;
    for (auto& d : outcomes[i].documents) {
      cut = cut || d.truncated;
      set.documents.push_back(std::move(d));
    }
    set.truncated += cut;
  }
  return set;
}

/// Moves the held-out samples (with their outcomes) into the second set; both keep the order of the file.
void split(const std::vector<bool>& out, Dataset& data, std::vector<EncodeOutcome>& outcomes, Dataset& held, std::vector<EncodeOutcome>& held_outcomes) {
  Dataset kept;
  std::vector<EncodeOutcome> kept_outcomes;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    (out[i] ? held.samples : kept.samples).push_back(std::move(data.samples[i]));
    (out[i] ? held_outcomes : kept_outcomes).push_back(std::move(outcomes[i]));
  }
  data.samples = std::move(kept.samples);
  outcomes = std::move(kept_outcomes);
}

}  // namespace

TokenizerPtr tokenizer_or_refusal(const ModelFiles& files) {
  if (TokenizerPtr t = files.tokenizer()) return t;
  return std::make_shared<MissingTokenizer>(files.path(), files.config().vocab_size);
}

std::vector<bool> held_out(int64_t samples, double fraction, int64_t seed) {
  std::vector<bool> out(static_cast<size_t>(samples), false);
  const int64_t wanted = std::min<int64_t>(std::llround(fraction * static_cast<double>(samples)), samples - 1);
  if (wanted <= 0) return out;
  const auto order = permutation(static_cast<uint32_t>(samples), static_cast<uint64_t>(seed), stream_of("validation split"));
  for (int64_t i = 0; i < wanted; ++i) out[order[static_cast<size_t>(i)]] = true;
  return out;
}

std::vector<EncodeOutcome> encode_all(const Dataset& data, const RunConfig& c, const EncodeSettings& settings, const ModelFiles& files,
                                      std::stop_token stop, const CountProgress& progress) {
  const TokenizerPtr tokenizer = tokenizer_or_refusal(files);
  const auto chat = template_for(files, c.data.template_name);
  std::vector<EncodeOutcome> out;
  out.reserve(data.samples.size());
  for (size_t i = 0; i < data.samples.size(); ++i) {
    if (stop.stop_requested()) throw Interrupted("reading the data was stopped");
    out.push_back(encode_sample(data.samples[i], i, *tokenizer, chat.get(), settings));
    check_ids(out.back(), data.samples[i], files);
    if (progress && i % 64 == 63) progress(static_cast<int64_t>(i + 1), static_cast<int64_t>(data.samples.size()));
  }
  return out;
}

TrainingData read_training_data(const RunConfig& c, const ModelFiles& files, std::stop_token stop, const CountProgress& progress) {
  const EncodeSettings settings = encode_settings(c, files);
  const TokenizerPtr tokenizer = files.tokenizer();
  TrainingData out;
  Dataset train = read_dataset(c.data.train, dataset_options(c), stop), held;
  out.format = train.format;
  out.evidence = train.evidence;
  out.train_hash = train.content_hash;
  out.bad_rows = train.bad_row_count;
  out.bad.assign(train.bad_rows.begin(), train.bad_rows.begin() + static_cast<std::ptrdiff_t>(std::min(train.bad_rows.size(), kShownReasons)));
  std::vector<EncodeOutcome> outcomes = encode_all(train, c, settings, files, stop, progress), held_outcomes;
  if (!c.data.validation.empty()) {
    held = read_dataset(c.data.validation, dataset_options(c), stop);
    out.validation_hash = held.content_hash;
    out.bad_rows += held.bad_row_count;
    held_outcomes = encode_all(held, c, settings, files, stop, progress);
  } else {
    split(held_out(static_cast<int64_t>(outcomes.size()), c.data.validation_fraction, c.training.seed), train, outcomes, held, held_outcomes);
  }
  out.train = gather(train, std::move(outcomes), tokenizer.get());
  out.validation = gather(held, std::move(held_outcomes), tokenizer.get());
  if (out.train.documents.empty())
    throw InputError(c.data.train.front(), "",
                     fmt::format("gives no trainable token: none of its {} samples can be trained on{}", out.train.samples,
                                 out.train.dropped_reasons.empty() ? "" : " (" + out.train.dropped_reasons.front() + ")"));
  return out;
}

}  // namespace lorikeet::detail
