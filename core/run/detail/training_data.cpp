#include "core/run/detail/training_data.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/system.h"
#include "core/run/detail/data_settings.h"

namespace lorikeet::detail {
namespace {

constexpr size_t kShownReasons = 20;

/// One set: `data` holds the samples that were tokenised, `numbers` their numbers in the set.
EncodedSet gather(const Dataset& data, std::vector<EncodeOutcome> outcomes, const std::vector<uint32_t>& numbers, const Tokenizer* tokenizer) {
  EncodedSet set;
  set.samples = set.looked_at = static_cast<int64_t>(outcomes.size());
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
      d.sample = numbers[i];
      set.documents.push_back(std::move(d));
    }
    set.truncated += cut;
  }
  return set;
}

std::vector<uint32_t> counting(size_t n) {
  std::vector<uint32_t> out(n);
  std::iota(out.begin(), out.end(), 0u);
  return out;
}

/// Takes samples out of a set; what stays there is empty.
Dataset taken(Dataset& from, const std::vector<uint32_t>& numbers) {
  Dataset out;
  for (const uint32_t n : numbers) out.samples.push_back(std::move(from.samples[n]));
  return out;
}

/// Numbers of the samples that are held out, or of those that are not.
std::vector<uint32_t> numbers_of(const std::vector<bool>& held, bool wanted) {
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i < held.size(); ++i)
    if (held[i] == wanted) out.push_back(i);
  return out;
}

/// A set on its way from samples to tokens.
struct Reading {
  Dataset data;
  SampleEncoder encoder;
  std::vector<uint32_t> train;  // numbers of the samples trained on: the training set counts its samples in this order
};

/// Encodes what `numbers` (of the file) name and gathers it as a set; `in_set` are their numbers there.
EncodedSet encode_set(Reading& r, const std::vector<uint32_t>& numbers, const std::vector<uint32_t>& in_set, const Tokenizer* tokenizer, std::stop_token stop,
                      const CountProgress& progress) {
  auto outcomes = r.encoder.encode_many(r.data, numbers, stop, progress);
  return gather(taken(r.data, numbers), std::move(outcomes), in_set, tokenizer);
}

SamplesToCome rest_of(std::shared_ptr<Reading> r, int64_t known) {
  SamplesToCome rest;
  rest.known = known;
  rest.encode = [r](uint32_t s) {
    Sample& sample = r->data.samples[r->train[s]];
    std::vector<EncodedSample> out = r->encoder.encode(sample, r->train[s]).documents;
    for (auto& d : out) d.sample = s;
    sample = {};  // its text is no longer needed
    return out;
  };
  rest.done = [r] { r->encoder.keep(); };
  return rest;
}

/// Encodes everything at once: all samples in one go, so that the first bad one of the file is the one told.
void encode_whole(TrainingData& out, Reading& r, const std::vector<bool>& held, const Tokenizer* tokenizer, std::stop_token stop, const CountProgress& progress) {
  auto outcomes = r.encoder.encode_many(r.data, counting(r.data.samples.size()), stop, progress);
  r.encoder.keep();
  for (const bool wanted : {false, true}) {
    const auto numbers = numbers_of(held, wanted);
    std::vector<EncodeOutcome> own;
    for (const uint32_t n : numbers) own.push_back(std::move(outcomes[n]));
    (wanted ? out.validation : out.train) = gather(taken(r.data, numbers), std::move(own), counting(numbers.size()), tokenizer);
  }
}

/// Encodes what is held out and the first samples of the first epoch; the rest is left to come.
void encode_first(TrainingData& out, const std::shared_ptr<Reading>& r, const std::vector<bool>& held, const RunConfig& c, int64_t first_look,
                  const Tokenizer* tokenizer, std::stop_token stop, const CountProgress& progress) {
  const auto held_numbers = numbers_of(held, true);
  out.validation = encode_set(*r, held_numbers, counting(held_numbers.size()), tokenizer, stop, progress);
  std::vector<uint32_t> order = sample_order(static_cast<int64_t>(r->train.size()), row_settings(c, 0)), numbers;
  order.resize(static_cast<size_t>(first_look));
  for (const uint32_t s : order) numbers.push_back(r->train[s]);
  out.train = encode_set(*r, numbers, order, tokenizer, stop, progress);
  out.train.samples = static_cast<int64_t>(r->train.size());
  out.to_come = rest_of(r, first_look);
}

}  // namespace

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
  const SampleEncoder encoder(data, c, settings, files);
  auto out = encoder.encode_many(data, counting(data.samples.size()), stop, progress);
  encoder.keep();
  return out;
}

TrainingData read_training_data(const RunConfig& c, const ModelFiles& files, std::stop_token stop, const CountProgress& progress, int64_t first_look) {
  const EncodeSettings settings = encode_settings(c, files);
  const TokenizerPtr tokenizer = files.tokenizer();
  TrainingData out;
  const uint64_t before = resident_bytes();
  Dataset train = read_dataset(c.data.train, dataset_options(c), stop);
  const uint64_t read_bytes = resident_bytes() > before ? resident_bytes() - before : 0;
  out.format = train.format;
  out.evidence = train.evidence;
  out.train_hash = train.content_hash;
  out.bad_rows = train.bad_row_count;
  out.bad.assign(train.bad_rows.begin(), train.bad_rows.begin() + static_cast<std::ptrdiff_t>(std::min(train.bad_rows.size(), kShownReasons)));
  const auto samples = static_cast<int64_t>(train.samples.size());
  const std::vector<bool> held = c.data.validation.empty() ? held_out(samples, c.data.validation_fraction, c.training.seed)
                                                           : std::vector<bool>(train.samples.size(), false);
  SampleEncoder encoder(train, c, settings, files);
  const auto reading = std::make_shared<Reading>(Reading{std::move(train), std::move(encoder), numbers_of(held, false)});
  if (c.training.max_steps > 0 && c.data.packing && !reading->encoder.cached() && static_cast<int64_t>(reading->train.size()) > 2 * first_look) {
    encode_first(out, reading, held, c, first_look, tokenizer.get(), stop, progress);
    out.text_bytes = read_bytes;
  } else {
    encode_whole(out, *reading, held, tokenizer.get(), stop, progress);
  }
  if (!c.data.validation.empty()) {
    const Dataset validation = read_dataset(c.data.validation, dataset_options(c), stop);
    out.validation_hash = validation.content_hash;
    out.bad_rows += validation.bad_row_count;
    auto outcomes = encode_all(validation, c, settings, files, stop, progress);
    out.validation = gather(validation, std::move(outcomes), counting(validation.samples.size()), tokenizer.get());
  }
  if (out.train.documents.empty())
    throw InputError(c.data.train.front(), "",
                     fmt::format("gives no trainable token: none of its {} samples can be trained on{}", out.train.looked_at,
                                 out.train.dropped_reasons.empty() ? "" : " (" + out.train.dropped_reasons.front() + ")"));
  return out;
}

}  // namespace lorikeet::detail
