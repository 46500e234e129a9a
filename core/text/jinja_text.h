/// Python's string functions on UTF-8, as templates use them.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lorikeet::jinja {

/// str.isspace of one character.
bool is_space(char32_t c);
std::string_view strip(std::string_view s, bool left, bool right, std::optional<std::string_view> characters = {});
size_t code_points(std::string_view s);
/// Byte offset of code point `n` (n <= code_points(s)).
size_t offset_of(std::string_view s, size_t n);
std::string replace_all(std::string_view s, std::string_view from, std::string_view to, int64_t count = -1);
std::string upper(std::string_view s);
std::string lower(std::string_view s);
/// str.capitalize and str.title.
std::string capitalize(std::string_view s);
std::string title(std::string_view s);
/// repr(str).
std::string text_repr(std::string_view s);
/// str.split: at runs of white space without a separator. `limit` < 0: no limit.
std::vector<std::string> split_text(std::string_view s, std::optional<std::string_view> separator, int64_t limit, bool from_right = false);
std::vector<std::string> split_lines(std::string_view s, bool keep_ends);

}  // namespace lorikeet::jinja
