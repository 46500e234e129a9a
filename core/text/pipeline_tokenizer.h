/// The one tokenizer class: added tokens, normalizer, pre-tokenizer, model, post-processor, decoder (formats.md 4.1).
/// The tokenizer_*.cpp files fill TokenizerParts from the different kinds of files.
///
/// Offsets are bytes of the text as given. A byte-level token covers exactly its bytes, also inside a character; a token
/// of normalised text covers all source bytes of the stretch it came from; an inserted "▁" has no width. Blanks belong to
/// the token that holds them ("trim_offsets" is ignored). Ill-formed UTF-8 is read as one U+FFFD for each maximal
/// subpart, which covers the bytes it stands for.
#pragma once
#include <string>
#include <vector>

#include "core/text/added_tokens.h"
#include "core/text/json_fields.h"
#include "core/text/normalizer.h"
#include "core/text/pre_tokenizer.h"
#include "core/text/token_decoder.h"
#include "core/text/token_model.h"
#include "core/text/tokenizer.h"

namespace lorikeet {

struct TokenizerParts {
  std::string file;  // for messages
  std::string kind;
  AddedTokens added;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  TokenModelPtr model;
  TokenDecoder decoder;
  std::vector<int32_t> prefix, suffix;  // what add_special puts around
  std::optional<int32_t> bos, eos, pad, unk;
  std::vector<int32_t> stop_ids;
  std::string merges_digest;            // sha256 of the merges or scores, in order

  /// The id of a token text, added tokens first.
  std::optional<int32_t> id_of(std::string_view text) const;
  bool has_id(int64_t id) const;
  void add_stop(std::optional<int32_t> id);
};

/// {content, single_word, lstrip, rstrip, normalized, special} of tokenizer files; the id is left at 0.
AddedToken added_token_of(const Json& j, const JsonPlace& place);
TokenizerParts parts_from_json(std::string_view json_text, const std::string& file);
TokenizerParts parts_from_vocab_merges(std::string_view vocab_json, std::string_view merges_text, const std::string& pattern_name,
                                       const std::string& file);
TokenizerParts parts_from_sentencepiece(std::string_view model_bytes, const std::string& file);
std::shared_ptr<Tokenizer> make_tokenizer(TokenizerParts parts);

}  // namespace lorikeet
