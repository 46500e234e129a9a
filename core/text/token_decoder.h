/// From token texts back to running text: the decoder steps of tokenizer files (formats.md 4.1).
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/json.h"
#include "core/text/pattern.h"

namespace lorikeet {

/// A token on its way back to text; `raw` ones (added tokens) are not written in the byte alphabet.
struct DecodedToken {
  std::string text;
  bool raw = false;
};

class TokenDecoder {
 public:
  enum class Kind { byte_level, byte_fallback, fuse, strip, replace, metaspace, suffix };
  struct Step {
    Kind kind;
    std::shared_ptr<const Pattern> pattern;  // replace
    std::string content;                     // replace: new text; strip, metaspace: the character; suffix: the suffix
    int64_t start = 0, stop = 0;             // strip
    bool prefix = true;                      // metaspace: the first token's mark goes
  };
  void add(Step step) { steps_.push_back(std::move(step)); }
  /// Without steps tokens are joined by blanks, as the files mean it.
  std::string decode(std::vector<DecodedToken> tokens) const;
  /// The bytes of one token in the middle of a text.
  std::string bytes_of(const DecodedToken& token) const;

 private:
  std::vector<Step> steps_;
};

TokenDecoder byte_level_decoder();
/// Replace ▁ by a blank, byte fallback, fuse, and (with `strip_first`) drop the first blank of the text.
TokenDecoder sentencepiece_decoder(bool strip_first);
/// From the member "decoder" of a tokenizer.json (may be null).
TokenDecoder decoder_from_json(const Json& j, const std::string& file);

}  // namespace lorikeet
