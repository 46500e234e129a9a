// vocab.json + merges.txt: the older pair of files of byte-level BPE, which name no pre-tokenizer.
#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/registry.h"
#include "core/base/text.h"
#include "core/text/bpe_model.h"
#include "core/text/byte_level_families.h"
#include "core/text/pipeline_tokenizer.h"

namespace lorikeet {
namespace {

void add_merges(BpeModel& model, std::string_view text, const std::string& file, std::string& digest) {
  std::string all;
  size_t line_number = 0;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find('\n', at);
    if (end == std::string_view::npos) end = text.size();
    std::string_view line = text.substr(at, end - at);
    at = end + 1;
    ++line_number;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty() || line.substr(0, 8) == "#version") continue;
    const std::string where = fmt::format("line {} of the merges", line_number);
    const size_t blank = line.find(' ');
    if (blank == std::string_view::npos || line.find(' ', blank + 1) != std::string_view::npos)
      throw InputError(file, where, "two tokens with one blank between them were expected, found " + printable(line, 60));
    if (!model.add_merge(line.substr(0, blank), line.substr(blank + 1)))
      throw InputError(file, where, "the merge " + printable(line, 60) + " needs tokens that the vocabulary lacks");
    all += std::string(line) + '\n';
  }
  digest = sha256_of_text(all);
}

}  // namespace

TokenizerParts parts_from_vocab_merges(std::string_view vocab_json, std::string_view merges_text, const std::string& pattern_name,
                                       const std::string& file) {
  const ByteLevelFamily* family = byte_level_family(pattern_name);
  if (!family) throw InputError(file, "the pre-tokenizer", fmt::format("\"{}\" is not known; known: {}", printable(pattern_name, 40), byte_level_family_names()));
  const Json vocab = parse_json(vocab_json, file);
  if (!vocab.is_object() || vocab.empty()) throw InputError(file, "the top level", "an object of tokens and ids was expected");
  Vocabulary v;
  for (const auto& [text, id] : vocab.items())
    v.add(text, static_cast<int32_t>(integer_of(id, 0, kLargestTokenId, {file, printable(text, 40)})));
  BpeOptions o;
  o.ignore_merges = family->ignore_merges;
  auto model = std::make_unique<BpeModel>(std::move(v), o);
  TokenizerParts p;
  p.file = file;
  p.kind = "byte-level BPE";
  add_merges(*model, merges_text, file, p.merges_digest);
  p.model = std::move(model);
  apply_family(*family, p);
  return p;
}

}  // namespace lorikeet
