// Texts of input errors: "<file>: <where>: <message>", one sentence safe to print on a terminal. Whoever found the fault
// may quote what it read, which may be long: file and place stay whole as long as they leave room for a reason.
#include "core/base/error.h"

#include <algorithm>

#include "core/base/text.h"

namespace lorikeet {
namespace {

constexpr size_t kLongest = 300, kLeastReason = 60;
constexpr std::string_view kMore = "...";

/// At most `bytes` of already printable text, cut at a character.
std::string cut(std::string text, size_t bytes) {
  if (text.size() <= bytes) return text;
  text.resize(bytes - kMore.size());
  while (!text.empty() && !is_valid_utf8(text)) text.pop_back();
  return text.append(kMore);
}

std::string front_of(const std::string& file, const std::string& where) {
  return (file.empty() ? "" : file + ": ") + (where.empty() ? "" : where + ": ");
}

std::string input_text(const std::string& file, const std::string& where, const std::string& message) {
  const std::string shown = cut(printable(file, 400), 180);
  std::string front = front_of(shown, cut(printable(where, 400), 120));
  if (front.size() + kLeastReason > kLongest) front = front_of(shown, cut(printable(where, 400), 40));
  return front + cut(printable(message, 600), kLongest - front.size());
}

}  // namespace

InputError::InputError(const std::string& file, const std::string& where, const std::string& message)
    : Error("input", kExitRefused, input_text(file, where, message), file, where) {}

}  // namespace lorikeet
