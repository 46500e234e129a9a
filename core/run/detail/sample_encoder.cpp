#include "core/run/detail/sample_encoder.h"

#include <algorithm>
#include <atomic>
#include <mutex>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/base/threads.h"
#include "core/run/detail/loaded_model.h"
#include "core/tensor/cpu_level.h"

namespace lorikeet::detail {
namespace {

/// Raised whenever a sample may give other tokens than before: older cache files are then no longer found.
constexpr int kTokensVersion = 1;
constexpr int64_t kBlock = 32;          // samples a thread takes at a time
constexpr int64_t kForOneThread = 256;  // fewer are done before other threads are awake
/// Splits, normal forms, blanks and added tokens that the fingerprint of the vocabulary does not tell apart.
constexpr const char* kProbe = " Probe  it's 1234567 3.14\n\n\tnaïve ﬁ½ 中文 e\xcc\x81 <s></s><|im_end|><|endoftext|> end ";

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

/// Everything that decides the tokens of a set. Not data.max_length and data.on_long: the cache holds uncut samples.
std::string cache_key(const Dataset& data, const RunConfig& c, const EncodeSettings& s, const Tokenizer& t, const ChatTemplate* chat) {
  Json endings = Json::array();  // a name may decide how a file is read (.csv, .tsv)
  for (const auto& path : c.data.train) endings.push_back(to_lower_ascii(fs::path(path).extension().string()));
  for (const auto& path : c.data.validation) endings.push_back(to_lower_ascii(fs::path(path).extension().string()));
  Json tokenizer = {{"fingerprint", t.fingerprint()}, {"kind", t.kind()}, {"size", t.vocab_size()}, {"stop", t.stop_ids}};
  tokenizer["bos"] = t.bos ? Json(*t.bos) : Json();
  tokenizer["eos"] = t.eos ? Json(*t.eos) : Json();
  if (t.kind() != "none") tokenizer["probe"] = t.encode(kProbe, {.parse_special = true, .add_special = true});
  return sha256_of_text(dump_json({{"version", kTokensVersion}, {"program", LORIKEET_VERSION}, {"data", data.content_hash}, {"endings", endings},
                                   {"format", data.format}, {"asked_format", c.data.format}, {"samples", data.samples.size()}, {"limit", c.data.limit},
                                   {"system_prompt", c.data.system_prompt}, {"train_on_all", s.train_on_all}, {"tokenizer", tokenizer},
                                   {"template", chat ? chat->source() : ""}, {"variables", s.template_variables}, {"now", s.now}}));
}

/// The error of the lowest number, whichever thread meets its own first.
class FirstError {
 public:
  bool before(size_t number) const { return lowest_.load(std::memory_order_relaxed) < number; }
  void take(size_t number) {
    const std::lock_guard lock(mutex_);
    if (number >= lowest_) return;
    lowest_ = number;
    error_ = std::current_exception();
  }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::mutex mutex_;
  std::atomic<size_t> lowest_{SIZE_MAX};
  std::exception_ptr error_;
};

}  // namespace

TokenizerPtr tokenizer_or_refusal(const ModelFiles& files) {
  if (TokenizerPtr t = files.tokenizer()) return t;
  return std::make_shared<MissingTokenizer>(files.path(), files.config().vocab_size);
}

SampleEncoder::SampleEncoder(const Dataset& data, const RunConfig& c, const EncodeSettings& settings, const ModelFiles& files)
    : settings_(settings), tokenizer_(tokenizer_or_refusal(files)), chat_(template_for(files, c.data.template_name)), model_path_(files.path()),
      vocabulary_(files.config().vocab_size), threads_(c.device.threads > 0 ? c.device.threads : default_threads()) {
  const std::string folder = token_cache_folder(), key = cache_key(data, c, settings, *tokenizer_, chat_.get());
  const auto samples = static_cast<int64_t>(data.samples.size());
  reader_ = TokenCacheReader::open(folder, key, samples, std::max(vocabulary_, tokenizer_->vocab_size()));
  if (!reader_) writer_ = std::make_shared<TokenCacheWriter>(folder, key, samples);
}

void SampleEncoder::check_ids(const EncodeOutcome& outcome, const Sample& sample) const {
  for (const auto& d : outcome.documents)
    for (const int32_t id : d.ids)
      if (id < 0 || id >= vocabulary_)
        throw InputError(sample.origin.file, place_of(sample.origin),
                         fmt::format("gives token id {}, but the model's vocabulary ends at {}; is this the right model or tokenizer?", id, vocabulary_ - 1));
}

EncodeOutcome SampleEncoder::encode(const Sample& sample, size_t number) const {
  EncodeOutcome out;
  if (reader_) {
    out = cut_to_length(reader_->tokens(number), number, settings_);
  } else {
    const SampleTokens tokens = tokens_of_sample(sample, *tokenizer_, chat_.get(), settings_);
    out = cut_to_length(tokens, number, settings_);
    writer_->add(number, tokens);
  }
  check_ids(out, sample);
  return out;
}

std::vector<EncodeOutcome> SampleEncoder::encode_many(const Dataset& data, const std::vector<uint32_t>& numbers, std::stop_token stop,
                                                      const CountProgress& progress) const {
  const auto n = static_cast<int64_t>(numbers.size());
  std::vector<EncodeOutcome> out(numbers.size());
  FirstError error;
  std::atomic<int64_t> done{0};
  ThreadPool pool(n < kForOneThread ? 1 : static_cast<int>(threads_));
  pool.for_blocks(n, kBlock, [&](int64_t begin, int64_t end, int thread) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      if (stop.stop_requested() || error.before(i)) return;
      try {
        out[i] = encode(data.samples[numbers[i]], numbers[i]);
      } catch (...) {
        return error.take(i);
      }
    }
    done += end - begin;
    if (progress && thread == 0) progress(done, n);
  });
  if (stop.stop_requested()) throw Interrupted("reading the data was stopped");
  error.rethrow();
  return out;
}

void SampleEncoder::keep() const {
  if (writer_) writer_->commit();
}

}  // namespace lorikeet::detail
