#include "core/text/jinja_lexer.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "core/base/text.h"
#include "core/text/jinja_text.h"
#include "core/text/jinja_value.h"
#include "core/text/unicode.h"

namespace lorikeet::jinja {
namespace {

constexpr std::array<std::string_view, 29> kSymbols = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "*", "/", "%", "~", "(", ")", "[",
                                                       "]", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";", "!", "$", "@"};

// Line ends become \n and one newline at the end goes, as Jinja reads files.
std::string prepared(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
      out += '\n';
    } else {
      out += source[i];
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : text_(prepared(source)) {}
  std::vector<Token> run() {
    while (at_ < text_.size()) text_until_tag();
    push(TokenKind::end, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void error(const std::string& message) const { throw TemplateError{line_at(at_), message}; }
  int line_at(size_t at) const {
    while (counted_ < at && counted_ < text_.size()) line_ += text_[counted_++] == '\n';
    return line_;
  }
  void push(TokenKind kind, std::string value) { tokens_.push_back({kind, std::move(value), line_at(at_)}); }
  bool starts(std::string_view s, size_t at) const { return text_.compare(at, s.size(), s) == 0; }
  char peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

  void text_until_tag() {
    size_t tag = at_;
    while ((tag = text_.find('{', tag)) != std::string::npos && !starts("{{", tag) && !starts("{%", tag) && !starts("{#", tag)) ++tag;
    if (tag == std::string::npos) {
      push_text(text_.substr(at_));
      at_ = text_.size();
      return;
    }
    const char kind = text_[tag + 1], sign = tag + 2 < text_.size() ? text_[tag + 2] : '\0';
    const std::string_view before = std::string_view(text_).substr(at_, tag - at_);
    push_text(std::string(text_before_tag(before, kind, sign)));
    at_ = tag + 2;
    if (sign == '-' || sign == '+') ++at_;
    if (kind == '#') comment();
    else if (kind == '{') inside(TokenKind::variable_begin);
    else if (!raw_block()) inside(TokenKind::block_begin);
  }

  void push_text(std::string s) {
    if (!s.empty()) push(TokenKind::text, std::move(s));
  }

  std::string_view text_before_tag(std::string_view before, char kind, char sign) const {
    if (sign == '-') return strip(before, false, true);
    if (sign == '+' || kind == '{') return before;
    const size_t newline = before.rfind('\n'), begin = newline == std::string_view::npos ? 0 : newline + 1;
    if (newline == std::string_view::npos && !at_line_start_) return before;
    return strip(before.substr(begin), true, true).empty() ? before.substr(0, begin) : before;
  }

  // The end of a tag has been read up to its closing "}": takes the newline or white space that goes with it.
  void after_tag(char sign, bool block) {
    if (sign == '-') {
      while (at_ < text_.size()) {
        size_t end = at_;
        if (!is_space(next_code_point(text_, end))) break;
        at_ = end;
      }
    } else if (block && sign != '+' && peek() == '\n') {
      ++at_;
    }
    at_line_start_ = at_ > 0 && text_[at_ - 1] == '\n';
  }

  void comment() {
    const size_t end = text_.find("#}", at_);
    if (end == std::string::npos) error("a comment {# is not closed");
    const char sign = end > at_ ? text_[end - 1] : '\0';
    at_ = end + 2;
    after_tag(sign, true);
  }

  // {% raw %} ... {% endraw %}: everything between is text.
  bool raw_block() {
    size_t i = at_;
    const auto blanks = [&] { while (i < text_.size() && is_space(static_cast<unsigned char>(text_[i]))) ++i; };
    blanks();
    if (!starts("raw", i)) return false;
    i += 3;
    blanks();
    char sign = i < text_.size() ? text_[i] : '\0';
    if (sign == '-' || sign == '+') ++i;
    if (!starts("%}", i)) return false;
    at_ = i + 2;
    after_tag(sign, true);
    const size_t content = at_;
    for (size_t tag = text_.find("{%", content); tag != std::string::npos; tag = text_.find("{%", tag + 2)) {
      i = tag + 2;
      const char open = i < text_.size() ? text_[i] : '\0';
      if (open == '-' || open == '+') ++i;
      blanks();
      if (!starts("endraw", i)) continue;
      i += 6;
      blanks();
      sign = i < text_.size() ? text_[i] : '\0';
      if (sign == '-' || sign == '+') ++i;
      if (!starts("%}", i)) continue;
      push_text(std::string(text_before_tag(std::string_view(text_).substr(content, tag - content), '%', open)));
      at_ = i + 2;
      after_tag(sign, true);
      return true;
    }
    error("{% raw %} is not closed by {% endraw %}");
  }

  void inside(TokenKind begin) {
    const bool block = begin == TokenKind::block_begin;
    push(begin, "");
    std::string open;  // brackets: "}}" closes the tag only outside of them
    for (;;) {
      while (at_ < text_.size() && is_space(static_cast<unsigned char>(text_[at_]))) ++at_;
      if (at_ >= text_.size()) error(block ? "a tag {% is not closed" : "a tag {{ is not closed");
      const char sign = peek();
      const size_t skip = sign == '-' || sign == '+' ? 1 : 0;
      if (open.empty() && starts(block ? "%}" : "}}", at_ + skip) && (skip == 0 || block || sign == '-')) {
        push(block ? TokenKind::block_end : TokenKind::variable_end, "");
        at_ += skip + 2;
        after_tag(skip ? sign : '\0', block);
        return;
      }
      token(open);
    }
  }

  void token(std::string& open) {
    const char c = peek();
    if (c == '"' || c == '\'') return string_literal(c);
    if (c >= '0' && c <= '9') return number();
    size_t end = at_;
    const char32_t first = next_code_point(text_, end);
    if (first == '_' || is_letter(first)) return name();
    for (const auto s : kSymbols) {
      if (!starts(s, at_)) continue;
      if (c == '(' || c == '[' || c == '{') open += c;
      if (c == ')' || c == ']' || c == '}') {
        const char wanted = c == ')' ? '(' : c == ']' ? '[' : '{';
        if (open.empty() || open.back() != wanted) error(fmt::format("unexpected \"{}\"", c));
        open.pop_back();
      }
      push(TokenKind::symbol, std::string(s));
      at_ += s.size();
      return;
    }
    error("unexpected character " + printable(std::string_view(text_).substr(at_, end - at_)));
  }

  void name() {
    size_t end = at_;
    for (size_t next = end; next < text_.size(); end = next)
      if (!is_word_character(next_code_point(text_, next))) break;
    push(TokenKind::name, text_.substr(at_, end - at_));
    at_ = end;
  }

  void number() {
    size_t i = at_;
    const auto digits = [&](auto good) {
      std::string out;
      for (; i < text_.size() && (good(text_[i]) || (text_[i] == '_' && !out.empty() && i + 1 < text_.size() && good(text_[i + 1]))); ++i)
        if (text_[i] != '_') out += text_[i];
      return out;
    };
    const auto decimal = [](char c) { return c >= '0' && c <= '9'; };
    std::string value = digits(decimal);
    bool real = false;
    const bool attribute = at_ > 0 && text_[at_ - 1] == '.';  // x.0.1: two subscripts
    if (!attribute && i + 1 < text_.size() && text_[i] == '.' && decimal(text_[i + 1])) {
      ++i;
      value += "." + digits(decimal);
      real = true;
    }
    if (i + 1 < text_.size() && (text_[i] == 'e' || text_[i] == 'E')) {
      const bool sign = text_[i + 1] == '+' || text_[i + 1] == '-';
      if (i + 1 + sign < text_.size() && decimal(text_[i + 1 + sign])) {
        value += "e";
        if (sign) value += text_[i + 1];
        i += 1 + sign;
        value += digits(decimal);
        real = true;
      }
    }
    if (!real && value.size() > 1 && value[0] == '0' && value.find_first_not_of('0') != std::string::npos) error("a number must not begin with 0");
    push(real ? TokenKind::real : TokenKind::integer, value);
    at_ = i;
  }

  void string_literal(char quote) {
    const size_t begin = at_;
    size_t i = at_ + 1;
    std::string out;
    while (i < text_.size() && text_[i] != quote) {
      if (text_[i] == '\\' && i + 1 < text_.size()) escape(i, out);
      else out += text_[i++];
    }
    if (i >= text_.size()) error("a string is not closed");
    at_ = begin;
    push(TokenKind::string, std::move(out));
    at_ = i + 1;
  }

  // Python's escapes; an unknown one stays as it is.
  void escape(size_t& i, std::string& out) {
    const char c = text_[i + 1];
    static constexpr std::string_view kPlain = "\\'\"abfnrtv", kMeaning = "\\'\"\a\b\f\n\r\t\v";
    if (const size_t known = kPlain.find(c); known != std::string_view::npos) {
      out += kMeaning[known];
      i += 2;
    } else if (c == '\n') {
      i += 2;
    } else if (c >= '0' && c <= '7') {
      char32_t v = 0;
      size_t end = i + 1;
      for (; end < text_.size() && end < i + 4 && text_[end] >= '0' && text_[end] <= '7'; ++end) v = v * 8 + static_cast<char32_t>(text_[end] - '0');
      append_utf8(out, v);
      i = end;
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      char32_t v = 0;
      for (size_t k = 0; k < digits; ++k) {
        const char h = i + 2 + k < text_.size() ? text_[i + 2 + k] : '\0';
        const int d = h >= '0' && h <= '9' ? h - '0' : h >= 'a' && h <= 'f' ? h - 'a' + 10 : h >= 'A' && h <= 'F' ? h - 'A' + 10 : -1;
        if (d < 0) error("an escape in a string is not complete");
        v = v * 16 + static_cast<char32_t>(d);
      }
      if (v > 0x10FFFF || (v >= 0xD800 && v < 0xE000)) error("an escape in a string is no character");
      append_utf8(out, v);
      i += 2 + digits;
    } else {
      out += '\\';
      ++i;
    }
  }

  std::string text_;
  size_t at_ = 0;
  bool at_line_start_ = true;
  std::vector<Token> tokens_;
  mutable size_t counted_ = 0;
  mutable int line_ = 1;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace lorikeet::jinja
