/// The single steps that pre_tokenizer_json.cpp puts together; users of tokenizers need only pre_tokenizer.h.
#pragma once
#include "core/text/pre_tokenizer.h"

namespace lorikeet {

enum class PrependScheme { always, first, never };
/// Cuts at characters of one class.
PreTokenizerStep split_characters_step(bool (*is_match)(char32_t), SplitBehavior behavior);
/// Keeps runs of word characters and runs of other visible characters, drops white space.
PreTokenizerStep words_step();
/// Writes blanks as `mark` ("▁", one character), optionally puts one in front, cuts before each.
PreTokenizerStep metaspace_step(std::string mark, PrependScheme scheme, bool split);

}  // namespace lorikeet
