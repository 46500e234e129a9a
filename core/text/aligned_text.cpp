#include "core/text/aligned_text.h"

#include "core/base/error.h"

namespace lorikeet {

SourceSpan AlignedText::source(size_t begin, size_t end) const {
  if (map_.empty()) return {static_cast<uint32_t>(base_ + begin), static_cast<uint32_t>(base_ + end)};
  if (begin < end) return {map_[begin].begin, map_[end - 1].end};
  const uint32_t at = begin < map_.size() ? map_[begin].begin : (map_.empty() ? 0 : map_.back().end);
  return {at, at};
}

AlignedText AlignedText::slice(size_t begin, size_t end) const {
  AlignedText out(text_.substr(begin, end - begin), base_ + begin);
  if (!map_.empty()) out.map_.assign(map_.begin() + static_cast<ptrdiff_t>(begin), map_.begin() + static_cast<ptrdiff_t>(end));
  return out;
}

void AlignedBuilder::keep(size_t begin, size_t end) {
  out_.text_.append(from_.text_, begin, end - begin);
  if (!from_.map_.empty()) {
    out_.map_.insert(out_.map_.end(), from_.map_.begin() + static_cast<ptrdiff_t>(begin),
                     from_.map_.begin() + static_cast<ptrdiff_t>(end));
    return;
  }
  for (size_t i = begin; i < end; ++i) out_.map_.push_back(from_.source(i, i + 1));
}

void AlignedBuilder::replace(size_t begin, size_t end, std::string_view content) {
  if (out_.text_.size() + content.size() > out_.longest_)
    throw RunError("the tokenizer's rules make this text more than 16 times longer");
  out_.text_.append(content);
  out_.map_.insert(out_.map_.end(), content.size(), from_.source(begin, end));
}

AlignedText AlignedBuilder::take() {
  out_.base_ = from_.source(0, 0).begin;
  return std::move(out_);
}

}  // namespace lorikeet
