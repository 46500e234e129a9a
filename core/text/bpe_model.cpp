#include "core/text/bpe_model.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/text/byte_alphabet.h"
#include "core/text/merge_list.h"

namespace lorikeet {
namespace {

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

}  // namespace

BpeModel::BpeModel(Vocabulary vocabulary, BpeOptions options) : vocabulary_(std::move(vocabulary)), options_(std::move(options)) {
  if (options_.unk_token) unk_ = vocabulary_.find(*options_.unk_token);
  for (unsigned b = 0; b < 256; ++b) {
    byte_ids_[b] = vocabulary_.find(byte_character(static_cast<unsigned char>(b))).value_or(-1);
    fallback_ids_[b] = vocabulary_.find(byte_token(static_cast<unsigned char>(b))).value_or(-1);
  }
}

bool BpeModel::add_merge(std::string_view left, std::string_view right) {
  const uint32_t rank = next_rank_++;
  const auto a = vocabulary_.find(left), b = vocabulary_.find(right);
  std::string_view tail = right;
  const std::string& prefix = options_.continuing_subword_prefix;
  if (!prefix.empty() && tail.substr(0, prefix.size()) == prefix) tail.remove_prefix(prefix.size());
  const auto merged = vocabulary_.find(std::string(left) + std::string(tail));
  if (!a || !b || !merged) return false;
  merges_.set(pair_key(*a, *b), static_cast<uint64_t>(rank) << 32 | static_cast<uint32_t>(*merged));
  return true;
}

// Turns the characters of a piece into first symbols; runs of unknown ones are kept back so that they can be fused.
class BpeModel::SymbolMaker {
 public:
  SymbolMaker(const BpeModel& model, MergeList& list) : m_(model), list_(list) {}
  void add_known(int32_t id, uint32_t begin, uint32_t end) {
    flush();
    list_.push(id, begin, end);
  }
  void add_unknown(std::string_view text, uint32_t begin, uint32_t end) {
    if (m_.options_.byte_fallback && add_bytes(text, begin, end)) return;
    if (!m_.unk_) return;
    if (pending_ && !m_.options_.fuse_unk) flush();
    if (!pending_) pending_begin_ = begin;
    pending_ = true;
    pending_end_ = end;
  }
  void flush() {
    if (pending_) list_.push(*m_.unk_, pending_begin_, pending_end_);
    pending_ = false;
  }

 private:
  bool add_bytes(std::string_view text, uint32_t begin, uint32_t end) {
    for (const char c : text)
      if (m_.fallback_ids_[static_cast<unsigned char>(c)] < 0) return false;
    flush();
    for (uint32_t i = 0; i < text.size(); ++i)
      list_.push(m_.fallback_ids_[static_cast<unsigned char>(text[i])], std::min(begin + i, end), std::min(begin + i + 1, end));
    return true;
  }
  const BpeModel& m_;
  MergeList& list_;
  bool pending_ = false;
  uint32_t pending_begin_ = 0, pending_end_ = 0;
};

void BpeModel::encode(std::string_view piece, bool byte_mapped, std::vector<ModelToken>& out) const {
  const auto size = static_cast<uint32_t>(piece.size());
  if (options_.ignore_merges) {
    const auto whole = byte_mapped ? vocabulary_.find(to_byte_alphabet(piece)) : vocabulary_.find(piece);
    if (whole) return void(out.push_back({*whole, 0, size}));
  }
  static thread_local MergeList list;
  list.clear();
  SymbolMaker maker(*this, list);
  const bool affixes = !options_.continuing_subword_prefix.empty() || !options_.end_of_word_suffix.empty();
  for (size_t i = 0; i < piece.size();) {
    const auto begin = static_cast<uint32_t>(i);
    const auto byte = static_cast<unsigned char>(piece[i]);
    if (byte_mapped && !affixes) {
      ++i;
      if (byte_ids_[byte] >= 0) maker.add_known(byte_ids_[byte], begin, begin + 1);
      else maker.add_unknown(byte_character(byte), begin, begin + 1);
      continue;
    }
    if (byte_mapped) ++i;
    else next_code_point(piece, i);
    std::string symbol = byte_mapped ? byte_character(byte) : std::string(piece.substr(begin, i - begin));
    if (begin > 0) symbol.insert(0, options_.continuing_subword_prefix);
    if (i == piece.size()) symbol += options_.end_of_word_suffix;
    if (const auto id = vocabulary_.find(symbol)) maker.add_known(*id, begin, static_cast<uint32_t>(i));
    else maker.add_unknown(symbol, begin, static_cast<uint32_t>(i));
  }
  maker.flush();
  list.run([this](const MergeSymbol& a, const MergeSymbol& b) {
    const uint64_t* found = merges_.find(pair_key(a.id, b.id));
    return found ? *found : kNoMerge;
  });
  list.each([&](const MergeSymbol& s) { out.push_back({s.id, s.begin, s.end}); });
}

}  // namespace lorikeet
