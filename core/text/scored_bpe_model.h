/// SentencePiece-like BPE as a GGUF carries it ("llama"): no merge list; the pair whose joined text is the piece with
/// the highest score merges first (formats.md 4.6; llama.cpp's SPM tokenizer).
#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "core/text/flat_map.h"
#include "core/text/token_model.h"

namespace lorikeet {

/// Token types of GGUF and of SentencePiece's ModelProto.
enum class TokenType : int { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

class ScoredBpeModel : public TokenModel {
 public:
  /// scores and types by id, as many as the vocabulary has ids.
  ScoredBpeModel(Vocabulary vocabulary, const std::vector<float>& scores, std::vector<TokenType> types, std::optional<int32_t> unk);
  void encode(std::string_view piece, bool byte_mapped, std::vector<ModelToken>& out) const override;
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  std::string kind() const override { return "SentencePiece BPE"; }

 private:
  int32_t piece_id(std::string_view text) const;
  uint64_t merge_value(int32_t id) const { return static_cast<uint64_t>(ranks_[static_cast<size_t>(id)]) << 32 | static_cast<uint32_t>(id); }
  void list_merges();
  void emit(std::string_view piece, ModelToken symbol, std::vector<ModelToken>& out) const;
  void emit_unknown(std::string_view piece, uint32_t begin, uint32_t end, std::vector<ModelToken>& out) const;
  Vocabulary vocabulary_;
  std::vector<TokenType> types_;
  std::vector<uint32_t> ranks_;     // by score, highest first; equal scores share a rank
  FlatMap merges_;                  // left << 32 | right -> rank << 32 | joined, for all cuts of all pieces
  std::optional<int32_t> unk_;
  std::array<int32_t, 256> fallback_ids_;
};

}  // namespace lorikeet
