/// Samples to tokens: the chat template rendered once, tokenised once with offsets, character spans mapped to labels.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/data/dataset.h"
#include "core/models/model.h"
#include "core/text/chat_template.h"
#include "core/text/tokenizer.h"

namespace lorikeet {

struct EncodeSettings {
  bool train_on_all = false;  // data.train_on = all
  int64_t max_length = 1024;
  std::string on_long = "truncate";  // truncate | drop | split
  Json template_variables;           // bos_token, eos_token ... strings
  double now = 1735689600;  // strftime_now of the template (1 January 2025): the tokens must not depend on the day
};
/// A sample's tokens before any cut. labels[t] is ids[t] where token t is trained (of `tokens` data: as given), else -100.
struct SampleTokens {
  std::vector<int32_t> ids, labels;
};
/// One document ready for a batch. trained[t] says whether token t is a target; labels follow the contract
/// (labels[t] = ids[t] where trained, else -100; labels[0] = -100).
struct EncodedSample {
  std::vector<int32_t> ids, labels;
  bool truncated = false;
  int64_t original_tokens = 0;
  size_t sample = 0;  // index in Dataset::samples
  int64_t target_tokens() const;
};
/// What happened to a sample that gives no document: "no trainable token after truncation to 16", ...
struct EncodeOutcome {
  std::vector<EncodedSample> documents;  // several with on_long = split
  std::string dropped_reason;            // empty when documents is not
};
/// What is trained: of a chat the assistant's words with their end-of-turn token (the newline after it and the role
/// headers are not), of a completion all that follows the prompt, of a text everything. A completion and a text end in
/// the end token, a truncated one does not; both begin as the tokenizer begins a text (BOS). Where a token would reach
/// from the prompt into the completion the two are tokenised apart, as they are when the prompt is used later.
/// Throws InputError (template refusals, raise_exception, ids outside the vocabulary) naming file and line of the
/// sample.
EncodeOutcome encode_sample(const Sample& s, size_t index, const Tokenizer& tokenizer, const ChatTemplate* chat,
                            const EncodeSettings& settings);
/// The two halves of encode_sample: the costly one, which data.max_length does not enter, and the cut.
SampleTokens tokens_of_sample(const Sample& s, const Tokenizer& tokenizer, const ChatTemplate* chat,
                              const EncodeSettings& settings);
EncodeOutcome cut_to_length(const SampleTokens& tokens, size_t index, const EncodeSettings& settings);

/// Token view of one document for `data --show` and the Data page.
struct ShownToken {
  std::string text;
  int32_t id;
  bool trained;
  bool special;
};
std::vector<ShownToken> show_tokens(const EncodedSample& e, const Tokenizer& tokenizer);

/// Problems of a whole set (bad rows, rows without a target, missing end token, doubled BOS, share truncated, empty and
/// repeated answers, control tokens inside texts), for `data --audit`. `encoded[i]` belongs to data.samples[i].
struct AuditFinding {
  std::string severity, kind, text;  // severity: error | warning | note
  int64_t count = 0;
  std::vector<size_t> samples;  // first 20 sample indexes
};
std::vector<AuditFinding> audit(const Dataset& data, const std::vector<EncodeOutcome>& encoded,
                                const Tokenizer& tokenizer);

}  // namespace lorikeet
