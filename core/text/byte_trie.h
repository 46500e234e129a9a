/// A trie over bytes: finds the longest stored string at a position, or walks all stored prefixes.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/text/flat_map.h"

namespace lorikeet {

class ByteTrie {
 public:
  struct Match {
    size_t length = 0;
    int32_t value = 0;
  };
  /// A string stored twice keeps the later value. Empty strings are ignored.
  void insert(std::string_view s, int32_t value);
  /// Longest stored string that begins at `text[pos]`.
  std::optional<Match> longest(std::string_view text, size_t pos) const;
  /// Calls each(length, value) for every stored string that begins at `text[pos]`, short ones first.
  template <class Each>
  void prefixes(std::string_view text, size_t pos, Each&& each) const {
    uint64_t node = 0;
    for (size_t i = pos; i < text.size(); ++i) {
      if (!step(node, static_cast<unsigned char>(text[i]))) return;
      if (values_[node] >= 0) each(i - pos + 1, values_[node]);
    }
  }
  bool empty() const { return values_.size() <= 1; }

 private:
  bool step(uint64_t& node, unsigned char byte) const {
    const uint64_t* next = edges_.find(node << 8 | byte);
    if (!next) return false;
    node = *next;
    return true;
  }
  FlatMap edges_;                        // node * 256 + byte -> node
  std::vector<int32_t> values_ = {-1};  // by node; -1: no string ends here
};

}  // namespace lorikeet
