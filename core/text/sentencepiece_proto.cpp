#include "core/text/sentencepiece_proto.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <unordered_set>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/text/byte_alphabet.h"

namespace lorikeet {
namespace {

// A reader of the protobuf wire format: varints, fixed fields and bounded stretches.
class Wire {
 public:
  Wire(std::string_view bytes, size_t base, const std::string& file) : bytes_(bytes), base_(base), file_(file) {}
  bool more() const { return at_ < bytes_.size(); }
  [[noreturn]] void fail(const std::string& message) const { throw InputError(file_, fmt::format("byte {}", base_ + at_), message); }

  // Moves to the next field and gives its number.
  uint64_t field() {
    const uint64_t key = varint();
    wire_ = static_cast<int>(key & 7);
    if (key >> 3 == 0) fail("not a SentencePiece model: a field has the number 0");
    return key >> 3;
  }
  int64_t integer() {
    if (wire_ != 0) fail("a whole number was expected in this field");
    return static_cast<int64_t>(varint());
  }
  float number() {
    if (wire_ != 5) fail("a 32-bit number was expected in this field");
    need(4);
    uint32_t raw = 0;
    for (size_t i = 0; i < 4; ++i) raw |= static_cast<uint32_t>(static_cast<unsigned char>(bytes_[at_ + i])) << (8 * i);
    at_ += 4;
    return std::bit_cast<float>(raw);
  }
  std::string_view stretch() {
    if (wire_ != 2) fail("a text or message was expected in this field");
    const uint64_t n = varint();
    if (n > bytes_.size() - at_) fail(fmt::format("a field claims {} bytes, {} are left", n, bytes_.size() - at_));
    const std::string_view s = bytes_.substr(at_, n);
    at_ += n;
    return s;
  }
  Wire message() {
    const std::string_view s = stretch();
    return Wire(s, base_ + at_ - s.size(), file_);
  }
  void skip() {
    if (wire_ == 0) varint();
    else if (wire_ == 1) need(8), at_ += 8;
    else if (wire_ == 2) stretch();
    else if (wire_ == 5) need(4), at_ += 4;
    else fail(fmt::format("not a SentencePiece model: wire type {}", wire_));
  }

 private:
  void need(size_t n) const {
    if (bytes_.size() - at_ < n) fail("the file ends inside a field; it is truncated");
  }
  uint64_t varint() {
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      need(1);
      const auto b = static_cast<unsigned char>(bytes_[at_++]);
      v |= static_cast<uint64_t>(b & 0x7F) << shift;
      if (!(b & 0x80)) return v;
    }
    fail("not a SentencePiece model: a number is longer than 64 bits");
  }
  std::string_view bytes_;
  size_t base_ = 0, at_ = 0;
  const std::string& file_;
  int wire_ = 0;
};

SentencePieceProto::Entry read_piece(Wire w) {
  SentencePieceProto::Entry e;
  while (w.more()) {
    switch (w.field()) {
      case 1: e.text = w.stretch(); break;
      case 2: e.score = w.number(); break;
      case 3: {
        const int64_t t = w.integer();
        if (t < 1 || t > 6) w.fail(fmt::format("the piece type {} is not known", t));
        e.type = static_cast<TokenType>(t);
        break;
      }
      default: w.skip();
    }
  }
  return e;
}

void read_trainer(Wire w, SentencePieceProto& p) {
  const auto id = [&w] {
    const int64_t v = static_cast<int32_t>(w.integer());
    return static_cast<int32_t>(v);
  };
  while (w.more()) {
    switch (w.field()) {
      case 3: {
        const int64_t t = w.integer();
        if (t < 1 || t > 4) w.fail(fmt::format("the model type {} is not known", t));
        p.model_type = static_cast<int>(t);
        break;
      }
      case 35: p.byte_fallback = w.integer() != 0; break;
      case 40: p.unk_id = id(); break;
      case 41: p.bos_id = id(); break;
      case 42: p.eos_id = id(); break;
      case 43: p.pad_id = id(); break;
      default: w.skip();
    }
  }
}

uint32_t word_at(std::string_view s, size_t index) {
  uint32_t v = 0;
  for (size_t i = 0; i < 4; ++i) v |= static_cast<uint32_t>(static_cast<unsigned char>(s[index * 4 + i])) << (8 * i);
  return v;
}

// The blob is: u32 size of the trie, a Darts double array of 32-bit units, then NUL-terminated replacements. The library
// walks the array without looking at its end, so every step that any text could make is checked here.
void check_charsmap(std::string_view blob, const Wire& w) {
  if (blob.empty()) return;
  if (blob.size() < 4) w.fail("the character map of the normaliser is truncated");
  const uint32_t trie_bytes = word_at(blob, 0);
  if (trie_bytes > blob.size() - 4 || trie_bytes % 4 != 0 || trie_bytes < 1024)
    w.fail(fmt::format("the character map claims a trie of {} bytes, {} are there", trie_bytes, blob.size() - 4));
  const std::string_view trie = blob.substr(4, trie_bytes), texts = blob.substr(4 + trie_bytes);
  if (texts.empty() || texts.back() != '\0') w.fail("the replacement texts of the character map do not end in a NUL");
  if (!is_valid_utf8(texts)) w.fail("the replacement texts of the character map are not UTF-8");
  const size_t units = trie_bytes / 4;
  for (size_t i = 0; i < units; ++i) {
    const uint32_t unit = word_at(trie, i);
    if (unit >> 31) continue;  // a value: no step leads on from here
    const size_t target = i ^ (static_cast<size_t>(unit >> 10) << ((unit & (1u << 9)) >> 6));
    if ((target | 0xFF) >= units) w.fail(fmt::format("the trie of the character map leads outside at unit {}", i));
    if ((unit >> 8 & 1) && (word_at(trie, target) & 0x7FFFFFFF) >= texts.size())
      w.fail(fmt::format("the trie of the character map points behind its texts at unit {}", i));
  }
}

void read_normalizer(Wire w, SentencePieceProto& p) {
  while (w.more()) {
    switch (w.field()) {
      case 2: check_charsmap(w.stretch(), w); break;
      case 3: p.add_dummy_prefix = w.integer() != 0; break;
      case 4: p.remove_extra_whitespaces = w.integer() != 0; break;
      default: w.skip();
    }
  }
}

void check_pieces(const SentencePieceProto& p, const std::string& file) {
  if (p.pieces.empty()) throw InputError(file, "the pieces", "there are none; this is no SentencePiece model");
  if (p.pieces.size() > static_cast<size_t>(kLargestTokenId)) throw InputError(file, "the pieces", "more than 4 million");
  std::unordered_set<std::string_view> seen;
  size_t unknown = 0;
  for (size_t i = 0; i < p.pieces.size(); ++i) {
    const auto& e = p.pieces[i];
    const std::string where = fmt::format("piece {}", i);
    if (e.text.empty()) throw InputError(file, where, "the text is empty");
    if (e.text.size() > 4096) throw InputError(file, where, fmt::format("the text has {} bytes; at most 4096 are read", e.text.size()));
    if (!is_valid_utf8(e.text) || e.text.find('\0') != std::string::npos) throw InputError(file, where, "the text is not valid UTF-8");
    if (!std::isfinite(e.score) || std::fabs(e.score) > 1e12f) throw InputError(file, where, "the score is out of range");
    if (!seen.insert(e.text).second) throw InputError(file, where, fmt::format("\"{}\" stands twice", printable(e.text, 40)));
    unknown += e.type == TokenType::unknown;
    if (e.type == TokenType::byte && !byte_of_token(e.text)) throw InputError(file, where, "a byte piece must read <0xAB>");
  }
  if (unknown != 1) throw InputError(file, "the pieces", fmt::format("{} unknown pieces; exactly one is needed", unknown));
}

}  // namespace

SentencePieceProto read_sentencepiece_proto(std::string_view bytes, const std::string& file) {
  SentencePieceProto p;
  Wire w(bytes, 0, file);
  while (w.more()) {
    switch (w.field()) {
      case 1: p.pieces.push_back(read_piece(w.message())); break;
      case 2: read_trainer(w.message(), p); break;
      case 3: read_normalizer(w.message(), p); break;
      default: w.skip();
    }
  }
  check_pieces(p, file);
  return p;
}

}  // namespace lorikeet
