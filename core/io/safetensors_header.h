/// The JSON header of a safetensors file, read as a stream: no value tree is built, so memory is bounded by what is
/// kept.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/safetensors.h"

namespace lorikeet::detail {

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // begin and end still relative to the data area
  std::map<std::string, std::string> metadata;
};
/// Rules 4, 5, 10-12 of formats.md 1.4. `text` is the header without the length in front. Throws InputError.
SafetensorsHeader parse_safetensors_header(std::string_view text, const std::string& file);

/// Bits of one element, 0 for an unknown name.
int safetensors_bits(std::string_view dtype);
/// Place in the reference writer's order: higher stands earlier in the file. -1 for an unknown name.
int safetensors_order(std::string_view dtype);

}  // namespace lorikeet::detail
