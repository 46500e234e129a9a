// The member "pre_tokenizer" of tokenizer.json.
#include <fmt/format.h>

#include "core/base/text.h"
#include "core/text/json_fields.h"
#include "core/text/pre_tokenizer_steps.h"
#include "core/text/unicode.h"

namespace lorikeet {
namespace {

SplitBehavior behavior_at(const Json& j, const JsonPlace& place, const char* fallback) {
  const std::string name = optional_text_at(j, "behavior", place).value_or(fallback);
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  refuse(place.member("behavior"), fmt::format("\"{}\" is none of Isolated, Removed, MergedWithPrevious, MergedWithNext, Contiguous",
                                               printable(name, 40)));
}

PreTokenizerStep metaspace_from(const Json& j, const JsonPlace& place) {
  const std::string mark = optional_text_at(j, "replacement", place).value_or("\xE2\x96\x81");
  size_t end = 0;
  if (!mark.empty()) next_code_point(mark, end);
  if (mark.empty() || end != mark.size()) refuse(place.member("replacement"), "exactly one character was expected");
  std::string scheme = flag_at(j, "add_prefix_space", true, place) ? "always" : "never";
  if (const auto named = optional_text_at(j, "prepend_scheme", place)) scheme = *named;
  if (scheme != "always" && scheme != "first" && scheme != "never")
    refuse(place.member("prepend_scheme"), fmt::format("\"{}\" is none of always, first, never", printable(scheme, 40)));
  const PrependScheme s = scheme == "always" ? PrependScheme::always : scheme == "first" ? PrependScheme::first : PrependScheme::never;
  return metaspace_step(mark, s, flag_at(j, "split", true, place));
}

void add_step(PreTokenizer& out, const Json& j, const JsonPlace& place, int depth) {
  const std::string type = text_at(j, "type", place);
  if (type == "Sequence") {
    if (depth > 8) refuse(place, "pre-tokenizers nested deeper than 8");
    const Json& list = array_at(j, "pretokenizers", place);
    for (size_t i = 0; i < list.size(); ++i) add_step(out, list[i], place.member("pretokenizers").element(i), depth + 1);
  } else if (type == "Split") {
    auto pattern = std::make_shared<const Pattern>(pattern_at(j, "pattern", place));
    out.add(split_step(std::move(pattern), behavior_at(j, place, "Isolated"), flag_at(j, "invert", false, place)));
  } else if (type == "ByteLevel") {
    out.add(byte_level_step(flag_at(j, "add_prefix_space", true, place), flag_at(j, "use_regex", true, place)));
  } else if (type == "Digits") {
    out.add(digits_step(flag_at(j, "individual_digits", false, place)));
  } else if (type == "Metaspace") {
    out.add(metaspace_from(j, place));
  } else if (type == "Whitespace") {
    out.add(words_step());
  } else if (type == "WhitespaceSplit") {
    out.add(split_characters_step(&is_white_space, SplitBehavior::removed));
  } else if (type == "Punctuation") {
    out.add(split_characters_step(&is_punctuation, behavior_at(j, place, "Isolated")));
  } else {
    refuse(place, fmt::format("the pre-tokenizer \"{}\" is not supported (known: Split, ByteLevel, Digits, Metaspace, Whitespace, "
                              "WhitespaceSplit, Punctuation, Sequence)", printable(type, 40)));
  }
}

}  // namespace

PreTokenizer pre_tokenizer_from_json(const Json& j, const std::string& file) {
  PreTokenizer out;
  if (!j.is_null()) add_step(out, j, {file, "pre_tokenizer"}, 0);
  return out;
}

}  // namespace lorikeet
