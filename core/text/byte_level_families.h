/// How the families of byte-level BPE cut text before merging, by the names that GGUF files and we use.
/// To add one: one line in byte_level_families.cpp.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/text/pipeline_tokenizer.h"

namespace lorikeet {

struct ByteLevelFamily {
  std::string name;
  std::vector<std::string> patterns;  // applied one after the other, matches and gaps kept
  bool ignore_merges = false;
  bool adds_bos = false;              // when the file does not say
  bool nfc = false;
};
/// Null when unknown.
const ByteLevelFamily* byte_level_family(std::string_view name);
std::string byte_level_family_names();
/// Sets normalizer, pre-tokenizer and decoder.
void apply_family(const ByteLevelFamily& family, TokenizerParts& parts);

}  // namespace lorikeet
