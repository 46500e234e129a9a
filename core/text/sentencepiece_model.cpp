// tokenizer.model through libsentencepiece. The library normalises, adds the leading ▁ and segments; special tokens in
// the text are found by us beforehand, since it does not look for them. Each stretch between special tokens gets its own
// leading ▁ (the "legacy" way of Hugging Face's slow tokenizers).
#include <sentencepiece_processor.h>

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
    }
    const auto status = processor_.LoadFromSerializedProto(absl::string_view(bytes.data(), bytes.size()));
    if (!status.ok()) throw InputError(file, "the model", fmt::format("SentencePiece refuses it: {}", printable(status.ToString(), 160)));
  }

  void encode(std::string_view piece, bool, std::vector<ModelToken>& out) const override {
    sentencepiece::ImmutableSentencePieceText text;
    const auto status = processor_.Encode(absl::string_view(piece.data(), piece.size()), text.mutable_proto());
    if (!status.ok()) throw RunError(fmt::format("SentencePiece cannot encode this text: {}", printable(status.ToString(), 160)));
    const size_t first = out.size();
    for (const auto& p : text.pieces()) out.push_back({static_cast<int32_t>(p.id()), p.begin(), p.end()});
    spread_bytes(out, first);
  }
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  std::string kind() const override { return "SentencePiece"; }

 private:
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
