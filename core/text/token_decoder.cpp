#include "core/text/token_decoder.h"

#include <fmt/format.h>

#include "core/base/text.h"
#include "core/text/byte_alphabet.h"
#include "core/text/json_fields.h"
#include "core/text/unicode.h"

namespace lorikeet {
namespace {

using Tokens = std::vector<DecodedToken>;
using Step = TokenDecoder::Step;
using Kind = TokenDecoder::Kind;

constexpr const char* kMark = "\xE2\x96\x81";  // ▁

std::string replaced(const Pattern& pattern, const std::string& text, const std::string& content) {
  std::string out;
  split_by(pattern, text, [&](size_t begin, size_t end, bool match) {
    if (match) out += content;
    else out.append(text, begin, end - begin);
  });
  return out;
}

// All tokens become one stretch of bytes, read leniently as UTF-8.
Tokens run_byte_level(const Tokens& tokens) {
  std::string bytes;
  for (const auto& t : tokens) {
    const auto mapped = t.raw ? std::nullopt : from_byte_alphabet(t.text);
    bytes += mapped ? *mapped : t.text;
  }
  return {{utf8_replaced(bytes), true}};
}

// A run of byte tokens is text when it is well formed as a whole; otherwise each byte is one U+FFFD.
Tokens run_byte_fallback(const Tokens& tokens) {
  Tokens out;
  for (size_t i = 0; i < tokens.size();) {
    std::string bytes;
    while (i < tokens.size()) {
      const auto byte = byte_of_token(tokens[i].text);
      if (!byte) break;
      bytes += static_cast<char>(*byte);
      ++i;
    }
    if (!bytes.empty() && is_valid_utf8(bytes)) out.push_back({bytes, true});
    else for (size_t k = 0; k < bytes.size(); ++k) out.push_back({"\xEF\xBF\xBD", true});
    if (i < tokens.size()) out.push_back(tokens[i++]);
  }
  return out;
}

std::string stripped(std::string text, const Step& s) {
  for (int64_t k = 0; k < s.start && !s.content.empty() && text.compare(0, s.content.size(), s.content) == 0; ++k) text.erase(0, s.content.size());
  for (int64_t k = 0; k < s.stop && !s.content.empty() && text.size() >= s.content.size() &&
                      text.compare(text.size() - s.content.size(), s.content.size(), s.content) == 0; ++k)
    text.resize(text.size() - s.content.size());
  return text;
}

std::string without_mark(const std::string& text, const std::string& mark, bool drop) {
  return replaced(Pattern::literal(mark), text, drop ? "" : " ");
}

Tokens run_step(const Step& s, Tokens tokens) {
  switch (s.kind) {
    case Kind::byte_level: return run_byte_level(tokens);
    case Kind::byte_fallback: return run_byte_fallback(tokens);
    case Kind::fuse: {
      std::string all;
      for (const auto& t : tokens) all += t.text;
      return {{all, true}};
    }
    case Kind::strip:
      for (auto& t : tokens) t.text = stripped(std::move(t.text), s);
      return tokens;
    case Kind::replace:
      for (auto& t : tokens) t.text = replaced(*s.pattern, t.text, s.content);
      return tokens;
    case Kind::metaspace:
      for (size_t i = 0; i < tokens.size(); ++i) tokens[i].text = without_mark(tokens[i].text, s.content, i == 0 && s.prefix);
      return tokens;
    case Kind::suffix:
      for (size_t i = 0; i < tokens.size(); ++i)
        tokens[i].text = replaced(*s.pattern, tokens[i].text, i + 1 == tokens.size() ? "" : " ");
      return tokens;
  }
  return tokens;
}

void add_step(TokenDecoder& out, const Json& j, const JsonPlace& place, int depth) {
  const std::string type = text_at(j, "type", place);
  if (type == "Sequence") {
    if (depth > 8) refuse(place, "decoders nested deeper than 8");
    const Json& list = array_at(j, "decoders", place);
    for (size_t i = 0; i < list.size(); ++i) add_step(out, list[i], place.member("decoders").element(i), depth + 1);
  } else if (type == "ByteLevel") out.add({Kind::byte_level, nullptr, "", 0, 0, true});
  else if (type == "ByteFallback") out.add({Kind::byte_fallback, nullptr, "", 0, 0, true});
  else if (type == "Fuse") out.add({Kind::fuse, nullptr, "", 0, 0, true});
  else if (type == "Replace")
    out.add({Kind::replace, std::make_shared<const Pattern>(pattern_at(j, "pattern", place)), text_at(j, "content", place), 0, 0, true});
  else if (type == "Strip")
    out.add({Kind::strip, nullptr, text_at(j, "content", place), integer_at(j, "start", 0, 1000000, place), integer_at(j, "stop", 0, 1000000, place), true});
  else if (type == "Metaspace") {
    bool prefix = flag_at(j, "add_prefix_space", true, place);
    if (const auto scheme = optional_text_at(j, "prepend_scheme", place)) prefix = *scheme != "never";
    out.add({Kind::metaspace, nullptr, optional_text_at(j, "replacement", place).value_or(kMark), 0, 0, prefix});
  } else if (type == "BPEDecoder") {
    const std::string suffix = optional_text_at(j, "suffix", place).value_or("</w>");
    out.add({Kind::suffix, std::make_shared<const Pattern>(Pattern::literal(suffix)), suffix, 0, 0, true});
  } else
    refuse(place, fmt::format("the decoder \"{}\" is not supported (known: ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace, "
                              "BPEDecoder, Sequence)", printable(type, 40)));
}

}  // namespace

std::string TokenDecoder::decode(std::vector<DecodedToken> tokens) const {
  for (const Step& s : steps_) tokens = run_step(s, std::move(tokens));
  std::string out;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0 && steps_.empty()) out += ' ';
    out += tokens[i].text;
  }
  return out;
}

std::string TokenDecoder::bytes_of(const DecodedToken& token) const {
  std::string text = token.text;
  for (const Step& s : steps_) {
    if (s.kind == Kind::byte_level) {
      const auto mapped = token.raw ? std::nullopt : from_byte_alphabet(text);
      return mapped ? *mapped : text;
    }
    if (s.kind == Kind::byte_fallback && !token.raw) {
      if (const auto byte = byte_of_token(text)) return std::string(1, static_cast<char>(*byte));
    }
    if (s.kind == Kind::replace) text = replaced(*s.pattern, text, s.content);
    if (s.kind == Kind::suffix) text = replaced(*s.pattern, text, " ");
    if (s.kind == Kind::metaspace) text = without_mark(text, s.content, false);
  }
  return text;
}

TokenDecoder byte_level_decoder() {
  TokenDecoder d;
  d.add({Kind::byte_level, nullptr, "", 0, 0, true});
  return d;
}

TokenDecoder sentencepiece_decoder(bool strip_first) {
  TokenDecoder d;
  d.add({Kind::replace, std::make_shared<const Pattern>(Pattern::literal(kMark)), " ", 0, 0, true});
  d.add({Kind::byte_fallback, nullptr, "", 0, 0, true});
  d.add({Kind::fuse, nullptr, "", 0, 0, true});
  if (strip_first) d.add({Kind::strip, nullptr, " ", 1, 0, true});
  return d;
}

TokenDecoder decoder_from_json(const Json& j, const std::string& file) {
  TokenDecoder out;
  if (!j.is_null()) add_step(out, j, {file, "decoder"}, 0);
  return out;
}

}  // namespace lorikeet
