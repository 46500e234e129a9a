/// Regular expressions of tokenizer files on PCRE2 (Unicode, JIT). The files were written for Oniguruma (Ruby syntax):
/// `\s` is rewritten to the 25 White_Space characters, `\uXXXX` to `\x{XXXX}`, and ^ $ work on lines, as there.
/// Steps are limited, so a hostile pattern ends in an error instead of a hang.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace lorikeet {

class Pattern {
 public:
  /// Throws InputError(file, where) when the expression does not compile.
  static Pattern regex(const std::string& expression, const std::string& file, const std::string& where);
  /// Finds the string itself.
  static Pattern literal(std::string text);
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;
  ~Pattern();
  /// Calls found(begin, end) for all matches from left to right, none overlapping. `text` must be well-formed UTF-8.
  /// Empty matches count. Throws InputError when matching takes too many steps.
  void each_match(std::string_view text, const std::function<void(size_t, size_t)>& found) const;

 private:
  struct Compiled;
  Pattern() = default;
  std::string literal_;
  std::unique_ptr<Compiled> compiled_;
};

/// Calls piece(begin, end, is_match) for matches and the gaps between them, in order, covering the text. No empty piece;
/// an empty match cuts the gap it stands in.
void split_by(const Pattern& pattern, std::string_view text, const std::function<void(size_t, size_t, bool)>& piece);

}  // namespace lorikeet
