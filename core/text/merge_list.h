/// The merging loop of all BPE models: again and again the adjacent pair with the lowest rank, leftmost among equals.
/// A linked list with a scan for short pieces, a heap for long ones (O(n log n)): Llama-2 and Gemma encode whole
/// documents as one piece.
#pragma once
#include <cstdint>
#include <queue>
#include <string_view>
#include <vector>

namespace lorikeet {

constexpr uint64_t kNoMerge = ~uint64_t{0};

struct MergeSymbol {
  int32_t id;           // -1: not in the vocabulary
  uint32_t begin, end;  // bytes of the piece
  int32_t previous, next;
  uint64_t merge;       // rank << 32 | new id for the pair (this, next), or kNoMerge
};

class MergeList {
 public:
  void clear() { symbols_.clear(); }
  bool empty() const { return symbols_.empty(); }
  void push(int32_t id, uint32_t begin, uint32_t end) {
    const auto n = static_cast<int32_t>(symbols_.size());
    if (n > 0) symbols_.back().next = n;
    symbols_.push_back({id, begin, end, n - 1, -1, kNoMerge});
  }
  /// `merge_of(left, right)` gives rank << 32 | new id, or kNoMerge.
  template <class MergeOf>
  void run(const MergeOf& merge_of) {
    for (auto& s : symbols_) s.merge = pair_merge(s, merge_of);
    if (symbols_.size() <= 40) run_short(merge_of);
    else run_long(merge_of);
  }
  /// Calls each(symbol) for what is left.
  template <class Each>
  void each(Each&& f) const {
    for (int32_t i = symbols_.empty() ? -1 : 0; i >= 0; i = at(i).next) f(at(i));
  }

 private:
  MergeSymbol& at(int32_t i) { return symbols_[static_cast<size_t>(i)]; }
  const MergeSymbol& at(int32_t i) const { return symbols_[static_cast<size_t>(i)]; }
  template <class MergeOf>
  uint64_t pair_merge(const MergeSymbol& s, const MergeOf& merge_of) const {
    return s.next < 0 ? kNoMerge : merge_of(s, at(s.next));
  }
  // Joins i with its right neighbour and looks up the two pairs this makes.
  template <class MergeOf>
  void join(int32_t i, const MergeOf& merge_of) {
    MergeSymbol& left = at(i);
    MergeSymbol& right = at(left.next);
    left.id = static_cast<int32_t>(left.merge & 0xFFFFFFFF);
    left.end = right.end;
    left.next = right.next;
    right.merge = kNoMerge;
    if (left.next >= 0) at(left.next).previous = i;
    left.merge = pair_merge(left, merge_of);
    if (left.previous >= 0) at(left.previous).merge = pair_merge(at(left.previous), merge_of);
  }
  template <class MergeOf>
  void run_short(const MergeOf& merge_of) {
    while (!symbols_.empty()) {
      int32_t best = -1;
      uint64_t best_rank = kNoMerge >> 32;
      for (int32_t i = 0; i >= 0; i = at(i).next)
        if (at(i).merge != kNoMerge && at(i).merge >> 32 < best_rank) best = i, best_rank = at(i).merge >> 32;
      if (best < 0) return;
      join(best, merge_of);
    }
  }
  struct Entry {
    uint64_t merge;
    int32_t at;
    bool operator<(const Entry& o) const {  // the queue gives the largest first
      const uint64_t a = merge >> 32, b = o.merge >> 32;
      return a != b ? a > b : at > o.at;
    }
  };
  template <class MergeOf>
  void run_long(const MergeOf& merge_of) {
    std::vector<Entry> start;
    for (size_t i = 0; i < symbols_.size(); ++i)
      if (symbols_[i].merge != kNoMerge) start.push_back({symbols_[i].merge, static_cast<int32_t>(i)});
    std::priority_queue<Entry> queue(std::less<Entry>(), std::move(start));
    while (!queue.empty()) {
      const Entry e = queue.top();
      queue.pop();
      if (at(e.at).merge != e.merge) continue;  // the pair is gone
      join(e.at, merge_of);
      const int32_t previous = at(e.at).previous;
      if (at(e.at).merge != kNoMerge) queue.push({at(e.at).merge, e.at});
      if (previous >= 0 && at(previous).merge != kNoMerge) queue.push({at(previous).merge, previous});
    }
  }
  std::vector<MergeSymbol> symbols_;
};

}  // namespace lorikeet
