/// Byte-pair encoding with an explicit list of merges (tokenizer.json "BPE", vocab.json + merges.txt, GGUF "gpt2").
#pragma once
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/text/flat_map.h"
#include "core/text/token_model.h"

namespace lorikeet {

struct BpeOptions {
  std::optional<std::string> unk_token;
  std::string continuing_subword_prefix, end_of_word_suffix;
  bool fuse_unk = false, byte_fallback = false, ignore_merges = false;
};

class BpeModel : public TokenModel {
 public:
  BpeModel(Vocabulary vocabulary, BpeOptions options);
  /// Merges come in order of rank. False when one of the three texts is not in the vocabulary.
  bool add_merge(std::string_view left, std::string_view right);
  void reserve_merges(size_t n) { merges_.reserve(n); }
  void encode(std::string_view piece, bool byte_mapped, std::vector<ModelToken>& out) const override;
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  std::string kind() const override { return options_.byte_fallback ? "BPE with byte fallback" : "byte-level BPE"; }

 private:
  class SymbolMaker;
  Vocabulary vocabulary_;
  BpeOptions options_;
  std::optional<int32_t> unk_;
  std::array<int32_t, 256> byte_ids_;      // of the byte alphabet, -1 where missing
  std::array<int32_t, 256> fallback_ids_;  // of "<0xAB>"
  FlatMap merges_;                         // left << 32 | right -> rank << 32 | new id
  uint32_t next_rank_ = 0;
};

}  // namespace lorikeet
