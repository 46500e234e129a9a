/// Checked reading of members of the JSON files that describe tokenizers: wrong types become sentences.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "core/base/json.h"
#include "core/text/pattern.h"

namespace lorikeet {

/// Where a value stands, for messages: the file and a dotted path such as "model.vocab".
struct JsonPlace {
  std::string file, path;
  JsonPlace member(const std::string& name) const { return {file, path.empty() ? name : path + "." + name}; }
  JsonPlace element(size_t i) const { return {file, path + "[" + std::to_string(i) + "]"}; }
};
[[noreturn]] void refuse(const JsonPlace& place, const std::string& message);

/// The member, or null when absent or null.
const Json* member_of(const Json& object, const char* name);
const Json& object_at(const Json& object, const char* name, const JsonPlace& place);
const Json& array_at(const Json& object, const char* name, const JsonPlace& place);
std::string text_at(const Json& object, const char* name, const JsonPlace& place);
std::optional<std::string> optional_text_at(const Json& object, const char* name, const JsonPlace& place);
bool flag_at(const Json& object, const char* name, bool fallback, const JsonPlace& place);
/// An integer in [min, max].
int64_t integer_of(const Json& value, int64_t min, int64_t max, const JsonPlace& place);
int64_t integer_at(const Json& object, const char* name, int64_t min, int64_t max, const JsonPlace& place);
/// {"String": s} or {"Regex": s}.
Pattern pattern_at(const Json& object, const char* name, const JsonPlace& place);

}  // namespace lorikeet
