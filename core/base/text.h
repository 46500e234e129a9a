/// Small helpers on strings that every folder needs: UTF-8, numbers without locale, safe display, nearest names.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lorikeet {

/// True when `s` is well-formed UTF-8 (no surrogates, no overlong forms, up to U+10FFFF).
bool is_valid_utf8(std::string_view s);
/// Byte offset of the first ill-formed sequence, or nothing.
std::optional<size_t> first_invalid_utf8(std::string_view s);
/// Ill-formed bytes replaced by U+FFFD.
std::string utf8_lossy(std::string_view s);
/// Decodes the code point at `pos` of well-formed UTF-8 and moves `pos` behind it.
char32_t next_code_point(std::string_view s, size_t& pos);
void append_utf8(std::string& out, char32_t c);
/// Control characters and ill-formed bytes shown as \xNN, cut after `max_bytes` with "...". For messages and logs.
std::string printable(std::string_view s, size_t max_bytes = 120);

/// Locale-free number reading of the whole string; nothing when it is not a number or out of range.
std::optional<int64_t> parse_int(std::string_view s);
std::optional<double> parse_double(std::string_view s);
/// Shortest text that reads back as the same double ("nan", "inf" for the non-finite).
std::string shortest(double v);

std::string_view trim(std::string_view s);
std::vector<std::string> split(std::string_view s, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
bool starts_with_ignoring_case(std::string_view s, std::string_view prefix);
std::string to_lower_ascii(std::string_view s);

/// The name in `known` nearest to `name` by edit distance, or empty when none is near.
std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

/// "430 MB", "1.7 GB" (decimal units, as disks and the form show them).
std::string human_bytes(uint64_t bytes);
/// "2 min 40 s", "1:02:03" style durations for people.
std::string human_seconds(double seconds);

}  // namespace lorikeet
