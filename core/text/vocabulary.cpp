#include "core/text/vocabulary.h"

#include <algorithm>

namespace lorikeet {

bool Vocabulary::add(std::string text, int32_t id) {
  const auto i = static_cast<size_t>(id);
  if (i >= known_.size()) {
    texts_.resize(i + 1);
    known_.resize(i + 1);
  }
  longest_ = std::max(longest_, text.size());
  known_[i] = true;
  texts_[i] = text;
  return ids_.emplace(std::move(text), id).second;
}

std::optional<int32_t> Vocabulary::find(std::string_view text) const {
  const auto it = ids_.find(text);
  return it == ids_.end() ? std::nullopt : std::optional(it->second);
}

const std::string& Vocabulary::text(int32_t id) const {
  static const std::string kNone;
  return has(id) ? texts_[static_cast<size_t>(id)] : kNone;
}

}  // namespace lorikeet
