/// A tokenizer whose every token can be checked by hand: one token a byte, a few words of several bytes, special tokens.
#pragma once
#include <algorithm>
#include <array>
#include <map>

#include "core/text/tokenizer.h"

namespace lorikeet::test {

class TinyTokenizer : public Tokenizer {
 public:
  static constexpr int32_t kBos = 256, kEos = 257, kStart = 258, kEnd = 259, kFirstWord = 260;
  /// `words`: texts of several bytes that are one token, longest first.
  explicit TinyTokenizer(std::vector<std::string> words = {}, bool adds_bos = false) : words_(std::move(words)), adds_bos_(adds_bos) {
    bos = kBos;
    eos = kEos;
    stop_ids = {kEos, kEnd};
  }
  std::vector<TokenPiece> encode_pieces(std::string_view text, EncodeOptions o) const override {
    std::vector<TokenPiece> out;
    if (o.add_special && adds_bos_) out.push_back({kBos, 0, 0});
    for (uint32_t at = 0; at < text.size();) {
      const auto [id, size] = longest(text.substr(at), o.parse_special);
      out.push_back({id, at, at + size});
      at += size;
    }
    return out;
  }
  std::string decode(const std::vector<int32_t>& ids) const override {
    std::string out;
    for (const int32_t id : ids) out += is_special(id) ? token_text(id) : token_bytes(id);
    return out;
  }
  std::string token_bytes(int32_t id) const override {
    return id < 256 ? std::string(1, static_cast<char>(id)) : token_text(id);
  }
  std::string token_text(int32_t id) const override {
    if (id < 256) return std::string(1, static_cast<char>(id));
    return id < kFirstWord ? kSpecials[static_cast<size_t>(id - 256)] : words_.at(static_cast<size_t>(id - kFirstWord));
  }
  std::optional<int32_t> id_of(std::string_view) const override { return std::nullopt; }
  bool is_special(int32_t id) const override { return id >= 256 && id < kFirstWord; }
  int64_t vocab_size() const override { return kFirstWord + static_cast<int64_t>(words_.size()); }
  std::string kind() const override { return "bytes"; }
  std::string fingerprint() const override { return "tiny"; }

 private:
  std::pair<int32_t, uint32_t> longest(std::string_view text, bool parse_special) const {
    if (parse_special)
      for (size_t i = 0; i < kSpecials.size(); ++i)
        if (text.starts_with(kSpecials[i])) return {static_cast<int32_t>(256 + i), static_cast<uint32_t>(kSpecials[i].size())};
    for (size_t i = 0; i < words_.size(); ++i)
      if (text.starts_with(words_[i])) return {kFirstWord + static_cast<int32_t>(i), static_cast<uint32_t>(words_[i].size())};
    return {static_cast<unsigned char>(text[0]), 1};
  }
  inline static const std::array<std::string, 4> kSpecials = {"<s>", "</s>", "<|im_start|>", "<|im_end|>"};
  std::vector<std::string> words_;
  bool adds_bos_;
};

}  // namespace lorikeet::test
