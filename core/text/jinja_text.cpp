#include "core/text/jinja_text.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/text.h"
#include "core/text/jinja_value.h"
#include "core/text/unicode.h"

namespace lorikeet::jinja {
namespace {

size_t previous(std::string_view s, size_t end) {
  size_t i = end - 1;
  while (i > 0 && (static_cast<unsigned char>(s[i]) & 0xC0) == 0x80) --i;
  return i;
}

// Without a limit both ends are trimmed; what a limit leaves over keeps the blanks at its far end.
std::vector<std::string> split_blanks(std::string_view s, int64_t limit, bool from_right) {
  std::vector<std::string> out;
  for (s = strip(s, !from_right, from_right); !s.empty(); s = strip(s, !from_right, from_right)) {
    size_t cut = from_right ? 0 : s.size();
    const bool rest = limit >= 0 && static_cast<int64_t>(out.size()) == limit;
    for (size_t i = from_right ? s.size() : 0; !rest && (from_right ? i > 0 : i < s.size());) {
      const size_t begin = from_right ? previous(s, i) : i;
      size_t end = begin;
      if (is_space(next_code_point(s, end))) {
        cut = from_right ? end : begin;
        break;
      }
      i = from_right ? begin : end;
    }
    out.emplace_back(from_right ? s.substr(cut) : s.substr(0, cut));
    s = from_right ? s.substr(0, cut) : s.substr(cut);
  }
  if (from_right) std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace

bool is_space(char32_t c) { return is_white_space(c) || (c >= 0x1C && c <= 0x1F); }

std::string_view strip(std::string_view s, bool left, bool right, std::optional<std::string_view> characters) {
  const auto goes = [&](std::string_view character, char32_t c) {
    return characters ? characters->find(character) != std::string_view::npos : is_space(c);
  };
  while (left && !s.empty()) {
    size_t end = 0;
    const char32_t c = next_code_point(s, end);
    if (!goes(s.substr(0, end), c)) break;
    s.remove_prefix(end);
  }
  while (right && !s.empty()) {
    const size_t begin = previous(s, s.size());
    size_t end = begin;
    const char32_t c = next_code_point(s, end);
    if (!goes(s.substr(begin), c)) break;
    s.remove_suffix(s.size() - begin);
  }
  return s;
}

size_t code_points(std::string_view s) {
  size_t n = 0;
  for (const char c : s) n += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return n;
}

size_t offset_of(std::string_view s, size_t n) {
  size_t i = 0;
  for (; i < s.size(); ++i)
    if ((static_cast<unsigned char>(s[i]) & 0xC0) != 0x80 && n-- == 0) break;
  return i;
}

std::string replace_all(std::string_view s, std::string_view from, std::string_view to, int64_t count) {
  std::string out;
  const auto check = [&] {
    if (out.size() > Heap::kLongestText) fail("a text grows over 16 MiB");
  };
  size_t at = 0;
  while (at <= s.size() && count != 0) {
    const size_t found = from.empty() ? at : s.find(from, at);
    if (found == std::string_view::npos) break;
    out.append(s.substr(at, found - at));
    out.append(to);
    check();
    at = found + from.size();
    --count;
    if (!from.empty()) continue;
    if (at == s.size()) return out;  // before each character and at the end
    size_t end = at;
    next_code_point(s, end);
    out.append(s.substr(at, end - at));
    at = end;
  }
  if (at < s.size()) out.append(s.substr(at));
  check();
  return out;
}

std::string upper(std::string_view s) { return change_case(s, LetterCase::upper); }
std::string lower(std::string_view s) { return change_case(s, LetterCase::lower); }

std::string capitalize(std::string_view s) {
  if (s.empty()) return {};
  size_t end = 0;
  next_code_point(s, end);
  return change_case(s.substr(0, end), LetterCase::title) + lower(s.substr(end));
}

std::string title(std::string_view s) {
  std::string out;
  bool inside = false;
  for (size_t i = 0; i < s.size();) {
    const size_t begin = i;
    const char32_t c = next_code_point(s, i);
    out += change_case(s.substr(begin, i - begin), inside ? LetterCase::lower : LetterCase::title);
    inside = is_cased(c);
  }
  return out;
}

std::string text_repr(std::string_view s) {
  const char quote = s.find('\'') != std::string_view::npos && s.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  for (size_t i = 0; i < s.size();) {
    const size_t begin = i;
    const char32_t c = next_code_point(s, i);
    if (c == static_cast<char32_t>(quote) || c == '\\') out += '\\', out += static_cast<char>(c);
    else if (c == '\n') out += "\\n";
    else if (c == '\r') out += "\\r";
    else if (c == '\t') out += "\\t";
    else if (c < 0x20 || c == 0x7F) out += fmt::format("\\x{:02x}", static_cast<uint32_t>(c));
    else if (c < 0x7F || is_printable(c)) out.append(s.substr(begin, i - begin));
    else if (c <= 0xFF) out += fmt::format("\\x{:02x}", static_cast<uint32_t>(c));
    else if (c <= 0xFFFF) out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
    else out += fmt::format("\\U{:08x}", static_cast<uint32_t>(c));
  }
  return out + quote;
}

std::vector<std::string> split_text(std::string_view s, std::optional<std::string_view> separator, int64_t limit, bool from_right) {
  if (!separator) return split_blanks(s, limit, from_right);
  if (separator->empty()) fail("empty separator");
  std::vector<std::string> out;
  while (limit < 0 || static_cast<int64_t>(out.size()) < limit) {
    const size_t found = from_right ? s.rfind(*separator) : s.find(*separator);
    if (found == std::string_view::npos) break;
    const std::string_view tail = s.substr(found + separator->size()), head = s.substr(0, found);
    out.emplace_back(from_right ? tail : head);
    s = from_right ? head : tail;
  }
  out.emplace_back(s);
  if (from_right) std::reverse(out.begin(), out.end());
  return out;
}

std::vector<std::string> split_lines(std::string_view s, bool keep_ends) {
  std::vector<std::string> out;
  size_t begin = 0;
  for (size_t i = 0; i < s.size();) {
    const size_t at = i;
    const char32_t c = next_code_point(s, i);
    const bool ends = (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (!ends) continue;
    if (c == '\r' && i < s.size() && s[i] == '\n') ++i;
    out.emplace_back(s.substr(begin, (keep_ends ? i : at) - begin));
    begin = i;
  }
  if (begin < s.size()) out.emplace_back(s.substr(begin));
  return out;
}

}  // namespace lorikeet::jinja
