#include "core/text/added_tokens.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/text/unicode.h"

namespace lorikeet {
namespace {

// Start of the character that ends at `end`.
size_t previous_character(std::string_view text, size_t end) {
  size_t i = end - 1;
  while (i > 0 && (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) --i;
  return i;
}

bool word_before(std::string_view text, size_t at) {
  if (at == 0) return false;
  size_t i = previous_character(text, at);
  return is_word_character(next_code_point(text, i));
}

bool word_after(std::string_view text, size_t at) {
  if (at >= text.size()) return false;
  return is_word_character(next_code_point(text, at));
}

size_t blank_begin(std::string_view text, size_t at) {
  while (at > 0) {
    size_t i = previous_character(text, at);
    const size_t begin = i;
    if (!is_white_space(next_code_point(text, i))) break;
    at = begin;
  }
  return at;
}

size_t blank_end(std::string_view text, size_t at) {
  while (at < text.size()) {
    size_t i = at;
    if (!is_white_space(next_code_point(text, i))) break;
    at = i;
  }
  return at;
}

}  // namespace

void AddedTokens::add(AddedToken token) {
  size_t at = tokens_.size();
  if (const auto it = by_content_.find(token.content); it != by_content_.end()) at = it->second;
  else if (const auto id = by_id_.find(token.id); id != by_id_.end()) at = id->second;
  if (at < tokens_.size()) {
    by_content_.erase(tokens_[at].content);
    by_id_.erase(tokens_[at].id);
    tokens_[at] = std::move(token);
  } else {
    tokens_.push_back(std::move(token));
  }
  by_content_[tokens_[at].content] = at;
  by_id_[tokens_[at].id] = at;
}

void AddedTokens::build(const Normalizer& normalizer) {
  raw_ = {};
  normalized_ = {};
  for (size_t i = 0; i < tokens_.size(); ++i) {
    AddedToken& t = tokens_[i];
    ByteTrie& trie = t.normalized ? normalized_ : raw_;
    t.searched = t.normalized ? normalizer.run(t.content) : t.content;
    // Two tokens can become the same text by normalisation: the first counts.
    const auto known = trie.longest(t.searched, 0);
    if (!known || known->length < t.searched.size()) trie.insert(t.searched, static_cast<int32_t>(i));
  }
}

const AddedToken* AddedTokens::by_id(int32_t id) const {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : &tokens_[it->second];
}

const AddedToken* AddedTokens::by_content(std::string_view content) const {
  const auto it = by_content_.find(std::string(content));
  return it == by_content_.end() ? nullptr : &tokens_[it->second];
}

std::vector<AddedTokens::Part> AddedTokens::split(std::string_view text, bool normalized, bool parse_special) const {
  const ByteTrie& trie = normalized ? normalized_ : raw_;
  std::vector<Part> out;
  size_t done = 0;
  for (size_t at = 0; at < text.size() && !trie.empty();) {
    const auto match = trie.longest(text, at);
    if (!match) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(match->value)];
    size_t begin = at, end = at + match->length;
    at = end;
    if (token.special && !parse_special) continue;
    if (token.single_word && (word_before(text, begin) || word_after(text, end))) continue;
    if (token.lstrip) begin = std::max(blank_begin(text, begin), done);  // not the blanks that the match before has taken
    if (token.rstrip) end = blank_end(text, end);
    if (begin > done) out.push_back({-1, done, begin});
    // As in the original, blanks taken by rstrip can still be found as a token of their own.
    out.push_back({match->value, begin, end});
    done = end;
  }
  if (done < text.size()) out.push_back({-1, done, text.size()});
  return out;
}

}  // namespace lorikeet
