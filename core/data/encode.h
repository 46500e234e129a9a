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
  bool train_on_all = false;     // data.train_on = all
  int64_t max_length = 1024;
  std::string on_long = "truncate";  // truncate | drop | split
  Json template_variables;       // bos_token, eos_token ... strings
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
/// Throws InputError (template refusals, raise_exception) naming file and line of the sample.
EncodeOutcome encode_sample(const Sample& s, size_t index, const Tokenizer& tokenizer, const ChatTemplate* chat, const EncodeSettings& settings);

/// Token view of one document for `data --show` and the Data page.
struct ShownToken { std::string text; int32_t id; bool trained; bool special; };
std::vector<ShownToken> show_tokens(const EncodedSample& e, const Tokenizer& tokenizer);

/// Problems of a whole set (zero-label rows, missing end token, doubled BOS, share truncated, ...), for `data --audit`.
struct AuditFinding {
  std::string severity, kind, text;  // severity: error | warning | note
  int64_t count = 0;
  std::vector<size_t> samples;       // first 20 sample indexes
};
std::vector<AuditFinding> audit(const Dataset& data, const std::vector<EncodeOutcome>& encoded, const Tokenizer& tokenizer);

}  // namespace lorikeet
