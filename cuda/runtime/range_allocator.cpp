#include "cuda/runtime/range_allocator.h"

#include <iterator>

namespace lorikeet::cuda {

RangeAllocator::RangeAllocator(size_t bytes) : bytes_(bytes / kAlign * kAlign) {
  if (bytes_ > 0) add_hole(0, bytes_);
}

void RangeAllocator::add_hole(size_t offset, size_t bytes) {
  holes_.emplace(offset, bytes);
  by_size_.emplace(bytes, offset);
}

std::optional<size_t> RangeAllocator::take(size_t bytes) {
  if (bytes > bytes_) return std::nullopt;
  const size_t size = rounded(bytes);
  const auto fit = by_size_.lower_bound({size, 0});
  if (fit == by_size_.end()) return std::nullopt;
  const auto [whole, offset] = *fit;
  by_size_.erase(fit);
  holes_.erase(offset);
  if (whole > size) add_hole(offset + size, whole - size);
  used_.emplace(offset, size);
  return offset;
}

void RangeAllocator::give(size_t offset) {
  const auto it = used_.find(offset);
  size_t size = it->second;
  used_.erase(it);
  const auto next = holes_.find(offset + size);
  if (next != holes_.end()) {
    size += next->second;
    by_size_.erase({next->second, next->first});
    holes_.erase(next);
  }
  const auto after = holes_.lower_bound(offset);
  if (after != holes_.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second == offset) {
      offset = before->first;
      size += before->second;
      by_size_.erase({before->second, before->first});
      holes_.erase(before);
    }
  }
  add_hole(offset, size);
}

}  // namespace lorikeet::cuda
