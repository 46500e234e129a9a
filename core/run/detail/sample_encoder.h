/// Tokenising the samples of one data set: from the token cache where the set is in it, else by the tokenizer, on all
/// cores or one sample at a time. Outcomes depend on the sample alone, never on threads, order or the cache.
#pragma once
#include <functional>
#include <memory>
#include <stop_token>
#include <vector>

#include "core/config/run_config.h"
#include "core/data/dataset.h"
#include "core/data/encode.h"
#include "core/data/token_cache.h"
#include "core/io/model_files.h"

namespace lorikeet::detail {

using CountProgress = std::function<void(int64_t done, int64_t total)>;

class SampleEncoder {
 public:
  /// `data` is not kept: samples are given with each call, by their number in it. Throws ConfigError, InputError
  /// (data.template).
  SampleEncoder(const Dataset& data, const RunConfig& config, const EncodeSettings& settings, const ModelFiles& files);
  /// Every sample of the set lies in the cache.
  bool cached() const { return reader_ != nullptr; }
  /// Safe to call from several threads. Throws InputError (template refusals, an id the model's embedding does not have)
  /// naming file and line.
  EncodeOutcome encode(const Sample& sample, size_t number) const;
  /// The same for many, on as many threads as the run may use; outcome i belongs to numbers[i]. The error is that of the
  /// first bad one in this order. Throws Interrupted.
  std::vector<EncodeOutcome> encode_many(const Dataset& data, const std::vector<uint32_t>& numbers, std::stop_token stop,
                                         const CountProgress& progress) const;
  /// Leaves the tokens in the cache once every sample of the set has been encoded; else does nothing.
  void keep() const;

 private:
  void check_ids(const EncodeOutcome& outcome, const Sample& sample) const;
  EncodeSettings settings_;
  TokenizerPtr tokenizer_;
  ChatTemplatePtr chat_;
  std::string model_path_;
  int64_t vocabulary_, threads_;
  std::shared_ptr<TokenCacheReader> reader_;
  std::shared_ptr<TokenCacheWriter> writer_;
};

/// The model's tokenizer, or one that refuses all text, so that `tokens` data can be used without any.
TokenizerPtr tokenizer_or_refusal(const ModelFiles& files);

}  // namespace lorikeet::detail
