#include "core/text/pipeline_tokenizer.h"

#include <algorithm>
#include <climits>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/text/unicode.h"

namespace lorikeet {
namespace {

// Ill-formed UTF-8 is read as U+FFFD, which covers the bytes it stands for.
AlignedText aligned_from(std::string_view text) {
  AlignedText source(std::string(text), 0);
  if (is_valid_utf8(text)) return source;
  AlignedBuilder b(source);
  walk_utf8(text, [&](size_t begin, size_t end, bool ok) {
    if (ok) b.keep(begin, end);
    else b.replace(begin, end, "\xEF\xBF\xBD");
  });
  return b.take();
}

class PipelineTokenizer : public Tokenizer {
 public:
  explicit PipelineTokenizer(TokenizerParts parts) : p_(std::move(parts)) {
    p_.added.build(p_.normalizer);
    bos = p_.bos;
    eos = p_.eos;
    pad = p_.pad;
    unk = p_.unk;
    stop_ids = p_.stop_ids;
    end_id_ = p_.model->vocabulary().end_id();
    for (const auto& t : p_.added.tokens()) end_id_ = std::max<int64_t>(end_id_, t.id + 1);
    fingerprint_ = make_fingerprint();
  }

  std::vector<TokenPiece> encode_pieces(std::string_view text, EncodeOptions o) const override {
    if (text.size() > INT32_MAX) throw RunError(fmt::format("a text of {} can not be tokenised in one piece (limit 2 GB)", human_bytes(text.size())));
    const auto size = static_cast<uint32_t>(text.size());
    std::vector<TokenPiece> out;
    if (o.add_special)
      for (const int32_t id : p_.prefix) out.push_back({id, 0, 0});
    const AlignedText aligned = aligned_from(text);
    for (const auto& part : p_.added.split(aligned.text(), false, o.parse_special)) {
      if (part.index >= 0) {
        push(out, p_.added.tokens()[static_cast<size_t>(part.index)].id, aligned.source(part.begin, part.end));
        continue;
      }
      encode_segment(p_.normalizer.run(aligned.slice(part.begin, part.end)), o.parse_special, out);
    }
    if (o.add_special)
      for (const int32_t id : p_.suffix) out.push_back({id, size, size});
    return out;
  }

  std::string decode(const std::vector<int32_t>& ids) const override {
    std::vector<DecodedToken> tokens;
    tokens.reserve(ids.size());
    for (const int32_t id : ids)
      if (p_.has_id(id)) tokens.push_back(token_of(id));
    return utf8_replaced(p_.decoder.decode(std::move(tokens)));
  }
  std::string token_bytes(int32_t id) const override { return p_.has_id(id) ? p_.decoder.bytes_of(token_of(id)) : std::string(); }
  std::string token_text(int32_t id) const override {
    const AddedToken* t = p_.added.by_id(id);
    return t ? t->content : p_.model->vocabulary().text(id);
  }
  std::optional<int32_t> id_of(std::string_view text) const override { return p_.id_of(text); }
  bool is_special(int32_t id) const override {
    const AddedToken* t = p_.added.by_id(id);
    return t && t->special;
  }
  int64_t vocab_size() const override { return end_id_; }
  std::string kind() const override { return p_.kind; }
  std::string fingerprint() const override { return fingerprint_; }

 private:
  static void push(std::vector<TokenPiece>& out, int32_t id, SourceSpan s) { out.push_back({id, s.begin, s.end}); }

  void encode_segment(const AlignedText& text, bool parse_special, std::vector<TokenPiece>& out) const {
    if (!p_.added.has_normalized()) return encode_plain(text, out);
    for (const auto& part : p_.added.split(text.text(), true, parse_special)) {
      if (part.index >= 0) push(out, p_.added.tokens()[static_cast<size_t>(part.index)].id, text.source(part.begin, part.end));
      else encode_plain(text.slice(part.begin, part.end), out);
    }
  }

  void encode_plain(AlignedText text, std::vector<TokenPiece>& out) const {
    const PieceList list = p_.pre_tokenizer.run(std::move(text));
    const std::string_view all = list.text.text();
    std::vector<ModelToken> tokens;
    for (const Piece& piece : list.pieces) {
      tokens.clear();
      p_.model->encode(all.substr(piece.begin, piece.end - piece.begin), list.byte_mapped, tokens);
      for (const ModelToken& t : tokens) push(out, t.id, list.text.source(piece.begin + t.begin, piece.begin + t.end));
    }
  }

  DecodedToken token_of(int32_t id) const {
    if (const AddedToken* t = p_.added.by_id(id)) return {t->searched, true};
    return {p_.model->vocabulary().text(id), false};
  }

  std::string make_fingerprint() const {
    std::string all = p_.merges_digest + "\n";
    for (int32_t id = 0; id < end_id_; ++id) {
      const DecodedToken t = token_of(id);
      all += t.text;
      all += is_special(id) ? '\1' : '\0';
    }
    return sha256_of_text(all);
  }

  TokenizerParts p_;
  int64_t end_id_ = 0;
  std::string fingerprint_;
};

}  // namespace

std::optional<int32_t> TokenizerParts::id_of(std::string_view text) const {
  if (const AddedToken* t = added.by_content(text)) return t->id;
  return model->vocabulary().find(text);
}

bool TokenizerParts::has_id(int64_t id) const {
  if (id < 0 || id > kLargestTokenId) return false;
  const auto i = static_cast<int32_t>(id);
  return added.by_id(i) || model->vocabulary().has(i);
}

void TokenizerParts::add_stop(std::optional<int32_t> id) {
  if (id && has_id(*id) && std::find(stop_ids.begin(), stop_ids.end(), *id) == stop_ids.end()) stop_ids.push_back(*id);
}

std::shared_ptr<Tokenizer> make_tokenizer(TokenizerParts parts) { return std::make_shared<PipelineTokenizer>(std::move(parts)); }

std::vector<int32_t> Tokenizer::encode(std::string_view text, EncodeOptions o) const {
  std::vector<int32_t> ids;
  const auto pieces = encode_pieces(text, o);
  ids.reserve(pieces.size());
  for (const auto& p : pieces) ids.push_back(p.id);
  return ids;
}

std::shared_ptr<Tokenizer> tokenizer_from_json(std::string_view json_text, const std::string& file) {
  return make_tokenizer(parts_from_json(json_text, file));
}

std::shared_ptr<Tokenizer> tokenizer_from_vocab_merges(std::string_view vocab_json, std::string_view merges_text,
                                                       const std::string& pattern_name, const std::string& file) {
  return make_tokenizer(parts_from_vocab_merges(vocab_json, merges_text, pattern_name, file));
}

std::shared_ptr<Tokenizer> tokenizer_from_sentencepiece(std::string_view model_bytes, const std::string& file) {
  return make_tokenizer(parts_from_sentencepiece(model_bytes, file));
}

}  // namespace lorikeet
