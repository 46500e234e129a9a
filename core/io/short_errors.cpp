// The file and the place stay whole as long as they leave room for a reason.
#include "core/io/short_errors.h"

#include <algorithm>
#include <string>

#include "core/base/text.h"

namespace lorikeet::detail {
namespace {

constexpr size_t kLeastReason = 60;

/// At most `bytes` of already printable text, cut at a character.
std::string cut(std::string text, size_t bytes) {
  if (text.size() <= bytes) return text;
  text.resize(bytes - 3);
  while (!text.empty() && !is_valid_utf8(text)) text.pop_back();
  return text + "...";
}

}  // namespace

void throw_shortened(const InputError& e) {
  const std::string text = e.what();
  const std::string front = InputError(e.file(), e.where(), "").what();
  const std::string reason = text.substr(std::min(front.size(), text.size()));
  if (front.size() + kLeastReason <= kLongestRefusal)
    throw InputError(e.file(), e.where(), cut(reason, kLongestRefusal - front.size()));
  // A very long path or place: the place gives way first.
  const std::string where = cut(printable(e.where(), 1000), 36);
  throw InputError(e.file(), where, cut(reason, kLeastReason));
}

}  // namespace lorikeet::detail
