#include "core/text/scored_bpe_model.h"

#include <algorithm>
#include <numeric>

#include "core/base/text.h"
#include "core/text/byte_alphabet.h"
#include "core/text/merge_list.h"

namespace lorikeet {
namespace {

constexpr size_t kLongestListedPiece = 64;  // bytes; longer pieces are looked up by their text while merging

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

}  // namespace

ScoredBpeModel::ScoredBpeModel(Vocabulary vocabulary, const std::vector<float>& scores, std::vector<TokenType> types,
                               std::optional<int32_t> unk)
    : vocabulary_(std::move(vocabulary)), types_(std::move(types)), ranks_(scores.size()), unk_(unk) {
  std::vector<uint32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return scores[a] > scores[b]; });
  for (size_t i = 0; i < order.size(); ++i)
    ranks_[order[i]] = i > 0 && scores[order[i]] == scores[order[i - 1]] ? ranks_[order[i - 1]] : static_cast<uint32_t>(i);
  for (unsigned b = 0; b < 256; ++b) {
    // Vocabularies without <0xAB> pieces sometimes hold the byte itself.
    const auto id = vocabulary_.find(byte_token(static_cast<unsigned char>(b)));
    fallback_ids_[b] = id ? *id : vocabulary_.find(std::string(1, static_cast<char>(b))).value_or(-1);
  }
  list_merges();
}

void ScoredBpeModel::list_merges() {
  for (int32_t id = 0; id < vocabulary_.end_id(); ++id) {
    const std::string_view text = vocabulary_.text(id);
    if (text.size() > kLongestListedPiece || piece_id(text) != id) continue;
    for (size_t cut = 0; next_code_point(text, cut), cut < text.size();) {
      const int32_t a = piece_id(text.substr(0, cut)), b = piece_id(text.substr(cut));
      if (a >= 0 && b >= 0) merges_.set(pair_key(a, b), merge_value(id));
    }
  }
}

// Only these kinds come out of merging; control tokens never do.
int32_t ScoredBpeModel::piece_id(std::string_view text) const {
  if (text.size() > vocabulary_.longest()) return -1;
  const auto id = vocabulary_.find(text);
  if (!id) return -1;
  const TokenType t = types_[static_cast<size_t>(*id)];
  return t == TokenType::normal || t == TokenType::user_defined || t == TokenType::unused ? *id : -1;
}

void ScoredBpeModel::emit_unknown(std::string_view piece, uint32_t begin, uint32_t end, std::vector<ModelToken>& out) const {
  bool bytes = true;
  for (uint32_t i = begin; i < end; ++i) bytes = bytes && fallback_ids_[static_cast<unsigned char>(piece[i])] >= 0;
  if (bytes) {
    for (uint32_t i = begin; i < end; ++i) out.push_back({fallback_ids_[static_cast<unsigned char>(piece[i])], i, i + 1});
  } else if (unk_) {
    if (!out.empty() && out.back().id == *unk_ && out.back().end == begin) out.back().end = end;
    else out.push_back({*unk_, begin, end});
  }
}

// A piece marked unused is taken apart again, along a cut that merging can make.
void ScoredBpeModel::emit(std::string_view piece, ModelToken symbol, std::vector<ModelToken>& out) const {
  std::vector<ModelToken> todo = {symbol};
  while (!todo.empty()) {
    const ModelToken t = todo.back();
    todo.pop_back();
    if (t.id < 0) {
      emit_unknown(piece, t.begin, t.end, out);
      continue;
    }
    const std::string_view text = piece.substr(t.begin, t.end - t.begin);
    size_t best = 0;
    uint32_t best_rank = 0;
    if (types_[static_cast<size_t>(t.id)] == TokenType::unused) {
      for (size_t cut = 0; next_code_point(text, cut), cut < text.size();) {
        const int32_t a = piece_id(text.substr(0, cut)), b = piece_id(text.substr(cut));
        if (a < 0 || b < 0) continue;
        const uint32_t rank = std::max(ranks_[static_cast<size_t>(a)], ranks_[static_cast<size_t>(b)]);
        if (best == 0 || rank < best_rank) best = cut, best_rank = rank;
      }
    }
    if (best == 0) {
      out.push_back(t);
      continue;
    }
    const auto cut = static_cast<uint32_t>(t.begin + best);
    todo.push_back({piece_id(text.substr(best)), cut, t.end});
    todo.push_back({piece_id(text.substr(0, best)), t.begin, cut});
  }
}

void ScoredBpeModel::encode(std::string_view piece, bool byte_mapped, std::vector<ModelToken>& out) const {
  if (byte_mapped) return;  // GGUF has no such combination
  static thread_local MergeList list;
  list.clear();
  for (size_t i = 0; i < piece.size();) {
    const size_t begin = i;
    next_code_point(piece, i);
    list.push(piece_id(piece.substr(begin, i - begin)), static_cast<uint32_t>(begin), static_cast<uint32_t>(i));
  }
  list.run([&](const MergeSymbol& a, const MergeSymbol& b) {
    const uint32_t length = b.end - a.begin;
    if (a.id >= 0 && b.id >= 0 && length <= kLongestListedPiece) {
      const uint64_t* found = merges_.find(pair_key(a.id, b.id));
      return found ? *found : kNoMerge;
    }
    const int32_t id = piece_id(piece.substr(a.begin, length));
    return id < 0 ? kNoMerge : merge_value(id);
  });
  list.each([&](const MergeSymbol& s) { emit(piece, {s.id, s.begin, s.end}, out); });
}

}  // namespace lorikeet
