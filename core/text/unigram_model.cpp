#include "core/text/unigram_model.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/text/byte_alphabet.h"

namespace lorikeet {

constexpr double kUnknownPenalty = 10;  // below the worst piece, as SentencePiece has it

UnigramModel::UnigramModel(Vocabulary vocabulary, std::vector<double> scores, std::optional<int32_t> unk, bool byte_fallback)
    : vocabulary_(std::move(vocabulary)), scores_(std::move(scores)), unk_(unk), byte_fallback_(byte_fallback) {
  double lowest = scores_.empty() ? 0 : scores_[0];
  for (const double s : scores_) lowest = std::min(lowest, s);
  unknown_score_ = lowest - kUnknownPenalty;
  for (int32_t id = 0; id < vocabulary_.end_id(); ++id)
    if (vocabulary_.has(id)) trie_.insert(vocabulary_.text(id), id);
  for (unsigned b = 0; b < 256; ++b) fallback_ids_[b] = vocabulary_.find(byte_token(static_cast<unsigned char>(b))).value_or(-1);
}

// Best path to every character boundary, left to right; the first of equally good ones stays.
void UnigramModel::search(std::string_view piece, std::vector<Node>& nodes) const {
  nodes.assign(piece.size() + 1, {});
  nodes[0].reached = true;
  for (size_t at = 0; at < piece.size();) {
    const double base = nodes[at].score;
    size_t next = at;
    next_code_point(piece, next);
    const size_t width = next - at;
    bool single = false;
    const auto offer = [&](size_t end, double score, int32_t id) {
      Node& n = nodes[end];
      if (!n.reached || base + score > n.score) n = {base + score, static_cast<uint32_t>(at), id, true};
    };
    trie_.prefixes(piece, at, [&](size_t length, int32_t id) {
      offer(at + length, scores_[static_cast<size_t>(id)], id);
      single |= length == width;
    });
    if (!single) offer(next, unknown_score_, -1);
    at = next;
  }
}

void UnigramModel::emit_unknown(std::string_view piece, uint32_t begin, uint32_t end, std::vector<ModelToken>& out) const {
  const std::string_view text = piece.substr(begin, end - begin);
  bool bytes = byte_fallback_;
  for (const char c : text) bytes = bytes && fallback_ids_[static_cast<unsigned char>(c)] >= 0;
  if (bytes) {
    for (uint32_t i = begin; i < end; ++i) out.push_back({fallback_ids_[static_cast<unsigned char>(piece[i])], i, i + 1});
  } else if (unk_) {
    out.push_back({*unk_, begin, end});
  }
}

void UnigramModel::encode(std::string_view piece, bool byte_mapped, std::vector<ModelToken>& out) const {
  if (byte_mapped) {  // no known model does this; right all the same, with the piece's width for each token
    std::vector<ModelToken> inner;
    encode(to_byte_alphabet(piece), false, inner);
    for (const auto& t : inner) out.push_back({t.id, 0, static_cast<uint32_t>(piece.size())});
    return;
  }
  static thread_local std::vector<Node> nodes;
  search(piece, nodes);
  std::vector<ModelToken> path;
  for (auto end = static_cast<uint32_t>(piece.size()); end > 0; end = nodes[end].from) {
    // A run of unknown characters is one unknown piece.
    const int32_t id = nodes[end].id;
    if (id < 0 && !path.empty() && path.back().id < 0) path.back().begin = nodes[end].from;
    else path.push_back({id, nodes[end].from, end});
  }
  for (auto it = path.rbegin(); it != path.rend(); ++it) {
    if (it->id >= 0) out.push_back(*it);
    else emit_unknown(piece, it->begin, it->end, out);
  }
}

}  // namespace lorikeet
