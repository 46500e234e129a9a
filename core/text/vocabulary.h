/// Texts and ids of tokens, both ways.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace lorikeet {

/// Larger ids are refused: they would size the tables by a number read from a file.
constexpr int64_t kLargestTokenId = 4'000'000;

class Vocabulary {
 public:
  /// `id` in [0, kLargestTokenId]. False when the text has an id already (which is kept).
  bool add(std::string text, int32_t id);
  std::optional<int32_t> find(std::string_view text) const;
  /// Empty for an id that is not there.
  const std::string& text(int32_t id) const;
  bool has(int32_t id) const { return id >= 0 && static_cast<size_t>(id) < known_.size() && known_[static_cast<size_t>(id)]; }
  /// One more than the largest id.
  int64_t end_id() const { return static_cast<int64_t>(known_.size()); }
  size_t longest() const { return longest_; }  // bytes

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>()(s); }
  };
  std::unordered_map<std::string, int32_t, Hash, std::equal_to<>> ids_;
  std::vector<std::string> texts_;
  std::vector<bool> known_;
  size_t longest_ = 0;
};

}  // namespace lorikeet
