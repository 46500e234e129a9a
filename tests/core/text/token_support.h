/// Helpers of the tokenizer tests: golden files, whole-character offsets, ids as text.
#pragma once
#include <string>
#include <vector>

#include "core/base/files.h"
#include "core/base/json.h"
#include "core/text/tokenizer.h"
#include "tests/support/support.h"

namespace lorikeet::test {

inline Json json_of(const std::string& name) { return read_json_file(data_path("tokenizers/" + name)); }
inline std::string bytes_of(const std::string& name) { return read_file(data_path("tokenizers/" + name)); }
inline std::string shown(const std::vector<int32_t>& ids) {
  std::string out;
  for (const int32_t id : ids) out += std::to_string(id) + " ";
  return out;
}
inline std::string shown(const Json& ids) { return shown(ids.get<std::vector<int32_t>>()); }

/// "text: expected ... found ..." when the ids differ, else empty.
inline std::string id_difference(const Tokenizer& t, const std::string& text, const Json& expected, EncodeOptions o = {}) {
  const auto ids = t.encode(text, o);
  if (ids == expected.get<std::vector<int32_t>>()) return {};
  return "\"" + text.substr(0, 200) + "\": expected " + shown(expected) + " found " + shown(ids);
}

/// The smallest stretch of whole characters around a stretch of bytes: the reference counts in characters.
inline TokenPiece whole_characters(const std::string& text, TokenPiece p) {
  const auto inside = [&](uint32_t i) { return i < text.size() && (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80; };
  while (inside(p.begin)) --p.begin;
  while (inside(p.end)) ++p.end;
  return p;
}

/// Texts and ids of a pair of .inp / .out files: texts end with a line __ggml_vocab_test__, ids fill one line.
inline std::vector<std::pair<std::string, std::vector<int32_t>>> oracle(const std::string& base) {
  std::vector<std::pair<std::string, std::vector<int32_t>>> out;
  const std::string texts = read_file(base + ".inp"), ids = read_file(base + ".out"), mark = "\n__ggml_vocab_test__\n";
  size_t line = 0;
  for (size_t at = 0; at < texts.size();) {
    size_t end = texts.find(mark, at);
    if (end == std::string::npos) end = texts.size();
    const size_t stop = std::min(ids.find('\n', line), ids.size());
    std::vector<int32_t> row;
    for (size_t i = line; i < stop;) {
      const size_t blank = std::min(ids.find(' ', i), stop);
      if (blank > i) row.push_back(std::stoi(ids.substr(i, blank - i)));
      i = blank + 1;
    }
    out.emplace_back(texts.substr(at, end - at), row);
    at = end + mark.size();
    line = stop + 1;
  }
  return out;
}

}  // namespace lorikeet::test
