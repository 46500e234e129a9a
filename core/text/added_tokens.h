/// Tokens added beside the model's vocabulary ("<|im_end|>"): found in the text before anything else (formats.md 4.1).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/text/byte_trie.h"
#include "core/text/normalizer.h"

namespace lorikeet {

/// Longer contents are refused: each position of a text is compared with all of them.
constexpr size_t kLongestAddedToken = 1024;

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool single_word = false;  // not when it touches a word character
  bool lstrip = false, rstrip = false;  // takes the white space beside it along
  bool normalized = false;   // searched after normalisation
  bool special = false;
  std::string searched;      // set by build(): the content as it stands in a normalised text; decoding shows this
};

class AddedTokens {
 public:
  /// A part of a text: an added token, or text between them (index < 0).
  struct Part {
    int index;
    size_t begin, end;
  };
  /// Later tokens with the same content or id replace earlier ones.
  void add(AddedToken token);
  /// Call once after the last add(): contents of `normalized` tokens are normalised as texts are.
  void build(const Normalizer& normalizer);
  const std::vector<AddedToken>& tokens() const { return tokens_; }
  const AddedToken* by_id(int32_t id) const;
  const AddedToken* by_content(std::string_view content) const;
  bool has_normalized() const { return !normalized_.empty(); }
  /// Leftmost match, longest first. `normalized` chooses which tokens are searched; special ones only with parse_special.
  std::vector<Part> split(std::string_view text, bool normalized, bool parse_special) const;

 private:
  std::vector<AddedToken> tokens_;
  std::unordered_map<int32_t, size_t> by_id_;
  std::unordered_map<std::string, size_t> by_content_;
  ByteTrie raw_, normalized_;
};

}  // namespace lorikeet
