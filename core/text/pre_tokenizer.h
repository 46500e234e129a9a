/// Pre-tokenizers of tokenizer files: cut the (normalised) text into the pieces that the model encodes one by one.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/json.h"
#include "core/text/aligned_text.h"
#include "core/text/pattern.h"

namespace lorikeet {

struct Piece {
  size_t begin, end;  // bytes of PieceList::text
};
struct PieceList {
  AlignedText text;
  std::vector<Piece> pieces;
  /// The pieces are raw bytes that the model sees through the byte alphabet (ByteLevel ran last).
  bool byte_mapped = false;
};
using PreTokenizerStep = std::function<void(PieceList&)>;

class PreTokenizer {
 public:
  void add(PreTokenizerStep step) { steps_.push_back(std::move(step)); }
  PieceList run(AlignedText text) const;

 private:
  std::vector<PreTokenizerStep> steps_;
};

enum class SplitBehavior { isolated, removed, merged_with_previous, merged_with_next, contiguous };
PreTokenizerStep split_step(std::shared_ptr<const Pattern> pattern, SplitBehavior behavior, bool invert);
PreTokenizerStep digits_step(bool individual);
/// Cuts by the GPT-2 pattern (unless `use_regex` is off) and shows bytes through the byte alphabet.
PreTokenizerStep byte_level_step(bool add_prefix_space, bool use_regex);
/// From the member "pre_tokenizer" of a tokenizer.json (may be null).
PreTokenizer pre_tokenizer_from_json(const Json& j, const std::string& file);

/// Patterns of well-known families (formats.md 4.3).
extern const char* const kGpt2Pattern;
extern const char* const kLlama3Pattern;
extern const char* const kQwen2Pattern;

}  // namespace lorikeet
