#include "core/text/byte_trie.h"

namespace lorikeet {

void ByteTrie::insert(std::string_view s, int32_t value) {
  if (s.empty()) return;
  uint64_t node = 0;
  for (const char c : s) {
    const auto byte = static_cast<unsigned char>(c);
    if (step(node, byte)) continue;
    edges_.set(node << 8 | byte, values_.size());
    node = values_.size();
    values_.push_back(-1);
  }
  values_[node] = value;
}

std::optional<ByteTrie::Match> ByteTrie::longest(std::string_view text, size_t pos) const {
  std::optional<Match> best;
  prefixes(text, pos, [&](size_t length, int32_t value) { best = Match{length, value}; });
  return best;
}

}  // namespace lorikeet
