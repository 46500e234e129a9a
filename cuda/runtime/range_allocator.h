/// Best fit with merging over one range of addresses that it never touches itself: what device memory is cut with.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>

namespace lorikeet::cuda {

class RangeAllocator {
 public:
  static constexpr size_t kAlign = 256;
  explicit RangeAllocator(size_t bytes);
  /// Offset of `bytes`, rounded up to kAlign; nothing when no hole is large enough.
  std::optional<size_t> take(size_t bytes);
  void give(size_t offset);
  bool empty() const { return used_.empty(); }
  size_t bytes() const { return bytes_; }
  size_t largest_hole() const { return by_size_.empty() ? 0 : by_size_.rbegin()->first; }
  static size_t rounded(size_t bytes) { return bytes == 0 ? kAlign : (bytes + kAlign - 1) / kAlign * kAlign; }

 private:
  void add_hole(size_t offset, size_t bytes);
  size_t bytes_;
  std::map<size_t, size_t> used_, holes_;          // offset -> bytes
  std::set<std::pair<size_t, size_t>> by_size_;    // (bytes, offset) of holes
};

}  // namespace lorikeet::cuda
