/// JSON as the whole program uses it: insertion-ordered objects, strict reading, numbers with all their digits.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace lorikeet {

using Json = nlohmann::ordered_json;

struct JsonLimits {
  int max_depth = 64;
  bool reject_duplicate_keys = true;
};
/// Parses one JSON document. `file` and `where_prefix` (for example "line 7") only appear in errors.
/// Throws InputError (exit 3): not UTF-8, syntax (with byte), nesting deeper than the limit, duplicate key, text after
/// the end. Bare NaN and Infinity are refused. Never recurses deeper than the limit.
Json parse_json(std::string_view text, const std::string& file, const std::string& where_prefix = {}, JsonLimits limits = {});
Json read_json_file(const std::string& path, uint64_t max_bytes = 256u << 20);
/// Text of a JSON value: doubles in their shortest exact form, NaN and infinities as null, ill-formed UTF-8 replaced.
std::string dump_json(const Json& value, int indent = -1);

}  // namespace lorikeet
