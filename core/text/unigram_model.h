/// Unigram language model (Kudo 2018, arXiv:1804.10959): the segmentation with the highest sum of piece scores.
#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "core/text/byte_trie.h"
#include "core/text/token_model.h"

namespace lorikeet {

/// Longer pieces are refused when reading: the search visits each piece length at each character.
constexpr size_t kLongestUnigramPiece = 4096;

class UnigramModel : public TokenModel {
 public:
  /// scores[id] belongs to the token with that id; `unk` may be missing (then unknown characters vanish).
  UnigramModel(Vocabulary vocabulary, std::vector<double> scores, std::optional<int32_t> unk, bool byte_fallback);
  void encode(std::string_view piece, bool byte_mapped, std::vector<ModelToken>& out) const override;
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  std::string kind() const override { return "unigram"; }

 private:
  struct Node {
    double score = 0;
    uint32_t from = 0;
    int32_t id = -1;       // -1: unknown character
    bool reached = false;
  };
  void search(std::string_view piece, std::vector<Node>& nodes) const;
  void emit_unknown(std::string_view piece, uint32_t begin, uint32_t end, std::vector<ModelToken>& out) const;
  Vocabulary vocabulary_;
  std::vector<double> scores_;
  std::optional<int32_t> unk_;
  bool byte_fallback_;
  double unknown_score_ = 0;
  ByteTrie trie_;
  std::array<int32_t, 256> fallback_ids_;
};

}  // namespace lorikeet
