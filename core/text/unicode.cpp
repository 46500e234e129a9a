#include "core/text/unicode.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

#include <stdexcept>
#include <vector>

#include "core/base/text.h"

namespace lorikeet {
namespace {

// Sorting the marks of one stretch takes quadratic time; no honest text piles up this many on one letter.
constexpr int kLongestStretch = 1024;

UChar32 icu(char32_t c) { return static_cast<UChar32>(c); }

const UNormalizer2* normalizer_of(NormalForm form) {
  UErrorCode status = U_ZERO_ERROR;
  const UNormalizer2* n = nullptr;
  switch (form) {
    case NormalForm::nfc: n = unorm2_getNFCInstance(&status); break;
    case NormalForm::nfd: n = unorm2_getNFDInstance(&status); break;
    case NormalForm::nfkc: n = unorm2_getNFKCInstance(&status); break;
    case NormalForm::nfkd: n = unorm2_getNFKDInstance(&status); break;
  }
  if (U_FAILURE(status) || !n) throw std::runtime_error("the Unicode normalisation tables (ICU) cannot be loaded");
  return n;
}

std::u16string utf16_of(std::string_view utf8) {
  std::u16string out;
  out.reserve(utf8.size());
  for (size_t i = 0; i < utf8.size();) {
    const char32_t c = next_code_point(utf8, i);
    if (c < 0x10000) {
      out += static_cast<char16_t>(c);
    } else {
      out += static_cast<char16_t>(0xD800 + ((c - 0x10000) >> 10));
      out += static_cast<char16_t>(0xDC00 + ((c - 0x10000) & 0x3FF));
    }
  }
  return out;
}

std::string utf8_of(const UChar* s, size_t n) {
  std::string out;
  for (size_t i = 0; i < n; ++i) {
    char32_t c = s[i];
    if (c >= 0xD800 && c < 0xDC00 && i + 1 < n) c = 0x10000 + ((c - 0xD800) << 10) + (s[++i] - 0xDC00u);
    append_utf8(out, c);
  }
  return out;
}

std::string normalized(std::string_view text, const UNormalizer2* n) {
  const std::u16string source = utf16_of(text);
  // No normal form grows a UTF-16 string by more than a factor of 18 (UAX 15, NFKD of U+FDFA).
  std::vector<UChar> buffer(source.size() * 18 + 8);
  UErrorCode status = U_ZERO_ERROR;
  const int32_t length = unorm2_normalize(n, source.data(), static_cast<int32_t>(source.size()), buffer.data(),
                                          static_cast<int32_t>(buffer.size()), &status);
  if (U_FAILURE(status)) throw std::runtime_error("Unicode normalisation failed");
  return utf8_of(buffer.data(), static_cast<size_t>(length));
}

}  // namespace

bool is_white_space(char32_t c) { return u_isUWhiteSpace(icu(c)); }

bool is_word_character(char32_t c) {
  if (c < 0x80) return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
  const uint32_t mask = U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK;
  return u_hasBinaryProperty(icu(c), UCHAR_ALPHABETIC) || (U_GET_GC_MASK(icu(c)) & mask) != 0 ||
         u_hasBinaryProperty(icu(c), UCHAR_JOIN_CONTROL);
}

bool is_numeric(char32_t c) { return (U_GET_GC_MASK(icu(c)) & U_GC_N_MASK) != 0; }

bool is_punctuation(char32_t c) {
  if (c < 0x80) return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
  return (U_GET_GC_MASK(icu(c)) & U_GC_P_MASK) != 0;
}

bool is_normalized(std::string_view text, NormalForm form) {
  const UNormalizer2* n = normalizer_of(form);
  for (size_t i = 0; i < text.size();) {
    if (static_cast<unsigned char>(text[i]) < 0x80) {
      ++i;
      continue;
    }
    // "Inert" characters never change and never touch a neighbour; anything else goes the long way.
    if (!unorm2_isInert(n, icu(next_code_point(text, i)))) return false;
  }
  return true;
}

void normalize_by_stretch(std::string_view text, NormalForm form,
                          const std::function<void(size_t, size_t, std::string_view)>& piece) {
  const UNormalizer2* n = normalizer_of(form);
  size_t begin = 0;
  while (begin < text.size()) {
    size_t end = begin;
    char32_t c = next_code_point(text, end);
    const bool single_ascii = c < 0x80;
    size_t next = end;
    for (int count = 1; next < text.size() && count < kLongestStretch; ++count) {
      c = next_code_point(text, next);
      if (c < 0x80 || unorm2_hasBoundaryBefore(n, icu(c))) break;
      end = next;
    }
    const std::string_view stretch = text.substr(begin, end - begin);
    if (single_ascii && stretch.size() == 1) piece(begin, end, stretch);
    else piece(begin, end, normalized(stretch, n));
    begin = end;
  }
}

std::string lower_of(char32_t c) {
  if (c < 0x80) return std::string(1, static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c));
  std::string s;
  append_utf8(s, c);
  return change_case(s, LetterCase::lower);
}

std::string change_case(std::string_view text, LetterCase to) {
  if (text.empty()) return {};
  const std::u16string source = utf16_of(text);
  std::vector<UChar> buffer(source.size() * 3 + 8);  // no full mapping is longer than three units a unit
  UErrorCode status = U_ZERO_ERROR;
  const auto n = static_cast<int32_t>(source.size()), room = static_cast<int32_t>(buffer.size());
  int32_t length = 0;
  if (to == LetterCase::lower) length = u_strToLower(buffer.data(), room, source.data(), n, "", &status);
  else if (to == LetterCase::upper) length = u_strToUpper(buffer.data(), room, source.data(), n, "", &status);
  else length = u_strToTitle(buffer.data(), room, source.data(), n, nullptr, "", &status);
  if (U_FAILURE(status)) throw std::runtime_error("changing the case of a text failed");
  return utf8_of(buffer.data(), static_cast<size_t>(length));
}

bool is_cased(char32_t c) {
  const int8_t type = u_charType(icu(c));
  return type == U_UPPERCASE_LETTER || type == U_LOWERCASE_LETTER || type == U_TITLECASE_LETTER;
}

bool is_letter(char32_t c) { return (U_GET_GC_MASK(icu(c)) & U_GC_L_MASK) != 0; }

bool is_printable(char32_t c) { return c == ' ' || (U_GET_GC_MASK(icu(c)) & (U_GC_C_MASK | U_GC_Z_MASK)) == 0; }

void walk_utf8(std::string_view text, const std::function<void(size_t, size_t, bool)>& piece) {
  size_t begin = 0;
  while (begin < text.size()) {
    const auto bad = first_invalid_utf8(text.substr(begin));
    const size_t stop = bad ? begin + *bad : text.size();
    if (stop > begin) piece(begin, stop, true);
    if (!bad) return;
    // The longest prefix of a well-formed sequence: lengthen while some completion would still be well formed.
    size_t length = 1;
    for (const size_t wanted : {size_t{2}, size_t{3}}) {
      if (stop + wanted > text.size()) break;
      bool possible = false;
      for (int tail = 0; tail < 1 + (wanted == 2) && !possible; ++tail) {
        std::string probe(text.substr(stop, wanted));
        probe.append(static_cast<size_t>(tail) + 1, '\x80');
        possible = is_valid_utf8(probe);
      }
      if (!possible) break;
      length = wanted;
    }
    piece(stop, stop + length, false);
    begin = stop + length;
  }
}

std::string utf8_replaced(std::string_view text) {
  if (is_valid_utf8(text)) return std::string(text);
  std::string out;
  walk_utf8(text, [&](size_t begin, size_t end, bool ok) {
    if (ok) out.append(text.substr(begin, end - begin));
    else out += "\xEF\xBF\xBD";
  });
  return out;
}

}  // namespace lorikeet
