/// Text that remembers which bytes of the caller's text each of its bytes came from, through every rewriting step.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lorikeet {

/// A stretch of bytes of the caller's text.
struct SourceSpan {
  uint32_t begin = 0, end = 0;
};

/// While nothing was changed, byte i of the text is byte base + i of the source and no map is kept.
class AlignedText {
 public:
  AlignedText() = default;
  AlignedText(std::string text, size_t base)
      : text_(std::move(text)), base_(base), longest_(text_.size() * kGrowth + kGrowthAtLeast) {}
  const std::string& text() const { return text_; }
  size_t size() const { return text_.size(); }
  bool is_identity() const { return map_.empty(); }
  /// The source bytes of text bytes [begin, end); a stretch of inserted characters only has no width.
  SourceSpan source(size_t begin, size_t end) const;
  /// The piece [begin, end) as a text of its own.
  AlignedText slice(size_t begin, size_t end) const;

 private:
  friend class AlignedBuilder;
  // Unicode's own normal forms grow a text at most elevenfold; more, over all steps, is a rule made to exhaust memory.
  static constexpr size_t kGrowth = 16, kGrowthAtLeast = 64 << 10;
  std::string text_;
  size_t base_ = 0;
  std::vector<SourceSpan> map_;  // one per byte, or empty
  size_t longest_ = 0;           // bytes that what is made of this text may have
};

/// Builds the next text from pieces of the one before.
class AlignedBuilder {
 public:
  explicit AlignedBuilder(const AlignedText& from) : from_(from) { out_.longest_ = from.longest_; }
  /// Copies [begin, end) of the old text unchanged.
  void keep(size_t begin, size_t end);
  /// Puts `content` in place of [begin, end) of the old text; begin == end inserts without width. Throws RunError when
  /// the text grows beyond all reason.
  void replace(size_t begin, size_t end, std::string_view content);
  AlignedText take();
  size_t size() const { return out_.text_.size(); }

 private:
  const AlignedText& from_;
  AlignedText out_;
};

}  // namespace lorikeet
