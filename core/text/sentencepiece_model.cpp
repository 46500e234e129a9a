// tokenizer.model through libsentencepiece. The library normalises, adds the leading ▁ and segments; special tokens in
// the text are found by us beforehand, since it does not look for them. Each stretch between special tokens gets its own
// leading ▁ (the "legacy" way of Hugging Face's slow tokenizers).
#include <sentencepiece_processor.h>

#include <algorithm>
#include <unordered_set>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/text/byte_alphabet.h"
#include "core/text/pipeline_tokenizer.h"
#include "core/text/sentencepiece_proto.h"

namespace lorikeet {
namespace {

class SentencePieceModel : public TokenModel {
 public:
  SentencePieceModel(const SentencePieceProto& proto, std::string_view bytes, const std::string& file) {
    for (size_t i = 0; i < proto.pieces.size(); ++i) {
      vocabulary_.add(proto.pieces[i].text, static_cast<int32_t>(i));
      is_byte_.push_back(proto.pieces[i].type == TokenType::byte);
      if (proto.pieces[i].type == TokenType::unknown) unk_ = static_cast<int32_t>(i);
      for (size_t at = 0; at < proto.pieces[i].text.size();) known_.insert(next_code_point(proto.pieces[i].text, at));
    }
    joins_unknown_ = !proto.byte_fallback;
    const auto status = processor_.LoadFromSerializedProto(absl::string_view(bytes.data(), bytes.size()));
    if (!status.ok()) throw InputError(file, "the model", fmt::format("SentencePiece refuses it: {}", printable(status.ToString(), 160)));
  }

  void encode(std::string_view piece, bool, std::vector<ModelToken>& out) const override {
    const size_t first = out.size();
    std::vector<Shortening> cuts;
    if (joins_unknown_ && piece.size() > kLongestUnknownRun) {
      const std::string shorter = without_long_unknown_runs(piece, cuts);
      if (!cuts.empty()) {
        encode_all(shorter, out);
        for (size_t i = first; i < out.size(); ++i) out[i].begin = restored(out[i].begin, cuts), out[i].end = restored(out[i].end, cuts);
        return;
      }
    }
    encode_all(piece, out);
    spread_bytes(out, first);
  }
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  std::string kind() const override { return "SentencePiece"; }

 private:
  static constexpr size_t kLongestUnknownRun = 1024, kWindow = 256, kKept = 32;  // bytes, at least
  struct Shortening {
    uint32_t at, removed;  // behind byte `at` of the shortened text, `removed` bytes are missing in all
  };

  void encode_all(std::string_view text, std::vector<ModelToken>& out) const {
    sentencepiece::ImmutableSentencePieceText result;
    const auto status = processor_.Encode(absl::string_view(text.data(), text.size()), result.mutable_proto());
    if (!status.ok()) throw RunError(fmt::format("SentencePiece cannot encode this text: {}", printable(status.ToString(), 160)));
    for (const auto& p : result.pieces()) out.push_back({static_cast<int32_t>(p.id()), p.begin(), p.end()});
  }

  // The library joins neighbouring unknown characters in quadratic time (1 MiB takes half a minute). Any number of them
  // is one token, so long runs are shortened before and the offsets stretched again after.
  std::string without_long_unknown_runs(std::string_view text, std::vector<Shortening>& cuts) const {
    std::string out;
    for (size_t at = 0; at < text.size();) {
      size_t end = at;
      for (size_t next = at; next < text.size(); end = next) {
        const char32_t c = next_code_point(text, next);
        if (c == ' ' || known_.contains(c)) break;
      }
      if (end - at > kLongestUnknownRun && is_one_unknown(text.substr(at, end - at))) {
        size_t kept = at;
        while (kept - at < kKept) next_code_point(text, kept);
        const uint32_t before = cuts.empty() ? 0 : cuts.back().removed;
        cuts.push_back({static_cast<uint32_t>(out.size() + (kept - at) / 2), before + static_cast<uint32_t>(end - kept)});
        out.append(text.substr(at, kept - at));
      } else {
        out.append(text.substr(at, end - at));
      }
      const size_t known = end;
      if (end < text.size()) next_code_point(text, end);
      out.append(text.substr(known, end - known));
      at = end;
    }
    return out;
  }

  // Asks the library, window by window: normalisation may turn characters that no piece has into some that pieces have.
  bool is_one_unknown(std::string_view run) const {
    const auto space = vocabulary_.find("\xE2\x96\x81");
    std::vector<ModelToken> tokens;
    for (size_t at = 0; at < run.size();) {
      size_t end = at;
      while (end < run.size() && end - at < kWindow) next_code_point(run, end);
      tokens.clear();
      encode_all(run.substr(at, end - at), tokens);
      for (size_t i = 0; i < tokens.size(); ++i)
        if (tokens[i].id != unk_ && !(i == 0 && tokens[i].id == space)) return false;
      if (tokens.empty() || tokens.back().id != unk_) return false;
      at = end;
    }
    return true;
  }

  static uint32_t restored(uint32_t at, const std::vector<Shortening>& cuts) {
    const auto it = std::upper_bound(cuts.begin(), cuts.end(), at, [](uint32_t v, const Shortening& s) { return v <= s.at; });
    return it == cuts.begin() ? at : at + std::prev(it)->removed;
  }

  // The library gives the whole character to the last of its byte pieces; each byte piece covers one byte.
  void spread_bytes(std::vector<ModelToken>& out, size_t first) const {
    for (size_t i = first; i < out.size();) {
      size_t end = i;
      while (end < out.size() && is_byte(out[end].id) && (end == i || out[end].begin == out[i].begin)) {
        ++end;
        if (out[end - 1].end > out[end - 1].begin) break;
      }
      const size_t n = end - i;
      if (n > 1 && out[end - 1].end - out[end - 1].begin == n) {
        const uint32_t begin = out[end - 1].begin;
        for (size_t k = 0; k < n; ++k) out[i + k].begin = begin + static_cast<uint32_t>(k), out[i + k].end = out[i + k].begin + 1;
      }
      i = std::max(end, i + 1);
    }
  }
  bool is_byte(int32_t id) const { return id >= 0 && static_cast<size_t>(id) < is_byte_.size() && is_byte_[static_cast<size_t>(id)]; }

  sentencepiece::SentencePieceProcessor processor_;
  Vocabulary vocabulary_;
  std::vector<bool> is_byte_;
  std::unordered_set<char32_t> known_;  // characters of all pieces
  int32_t unk_ = 0;
  bool joins_unknown_ = true;
};

std::optional<int32_t> known_id(const TokenizerParts& p, int32_t id) { return p.has_id(id) ? std::optional(id) : std::nullopt; }

}  // namespace

TokenizerParts parts_from_sentencepiece(std::string_view model_bytes, const std::string& file) {
  const SentencePieceProto proto = read_sentencepiece_proto(model_bytes, file);
  TokenizerParts p;
  p.file = file;
  p.kind = proto.model_type == 1 ? "SentencePiece unigram" : proto.model_type == 2 ? "SentencePiece BPE" : "SentencePiece";
  p.model = std::make_unique<SentencePieceModel>(proto, model_bytes, file);
  p.decoder = sentencepiece_decoder(proto.add_dummy_prefix);
  p.merges_digest = sha256_of_text(model_bytes);
  for (size_t i = 0; i < proto.pieces.size(); ++i) {
    const auto& e = proto.pieces[i];
    if ((e.type != TokenType::control && e.type != TokenType::unknown) || e.text.size() > kLongestAddedToken) continue;
    AddedToken t;
    t.id = static_cast<int32_t>(i);
    t.content = e.text;
    t.special = true;
    p.added.add(std::move(t));
    if (e.type == TokenType::unknown) p.unk = static_cast<int32_t>(i);
  }
  p.bos = known_id(p, proto.bos_id);
  p.eos = known_id(p, proto.eos_id);
  p.pad = known_id(p, proto.pad_id);
  if (p.bos) p.prefix = {*p.bos};
  p.add_stop(p.eos);
  return p;
}

}  // namespace lorikeet
