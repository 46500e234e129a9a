/// Reads the parts of a SentencePiece ModelProto that matter (formats.md 4.6) and checks all of it before the library
/// sees a byte: lengths, counts, UTF-8, duplicates, and the trie of the normaliser, which the library follows blindly.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/scored_bpe_model.h"

namespace lorikeet {

struct SentencePieceProto {
  struct Entry {
    std::string text;
    float score = 0;
    TokenType type = TokenType::normal;
  };
  std::vector<Entry> pieces;  // by id
  int model_type = 1;         // 1 unigram, 2 BPE, 3 word, 4 char
  bool byte_fallback = false;
  int32_t unk_id = 0, bos_id = 1, eos_id = 2, pad_id = -1;
  bool add_dummy_prefix = true, remove_extra_whitespaces = true;
};
/// Throws InputError naming the byte.
SentencePieceProto read_sentencepiece_proto(std::string_view bytes, const std::string& file);

}  // namespace lorikeet
