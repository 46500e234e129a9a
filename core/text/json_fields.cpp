#include "core/text/json_fields.h"

#include <fmt/format.h>

#include "core/base/error.h"

namespace lorikeet {
namespace {

const Json& required(const Json& object, const char* name, const JsonPlace& place) {
  const Json* v = member_of(object, name);
  if (!v) refuse(place, fmt::format("the member \"{}\" is missing", name));
  return *v;
}

}  // namespace

void refuse(const JsonPlace& place, const std::string& message) {
  throw InputError(place.file, place.path.empty() ? "the top level" : "field " + place.path, message);
}

const Json* member_of(const Json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(name);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

const Json& object_at(const Json& object, const char* name, const JsonPlace& place) {
  const Json& v = required(object, name, place);
  if (!v.is_object()) refuse(place.member(name), fmt::format("an object was expected, found {}", v.type_name()));
  return v;
}

const Json& array_at(const Json& object, const char* name, const JsonPlace& place) {
  const Json& v = required(object, name, place);
  if (!v.is_array()) refuse(place.member(name), fmt::format("a list was expected, found {}", v.type_name()));
  return v;
}

std::string text_at(const Json& object, const char* name, const JsonPlace& place) {
  const Json& v = required(object, name, place);
  if (!v.is_string()) refuse(place.member(name), fmt::format("a string was expected, found {}", v.type_name()));
  return v.get<std::string>();
}

std::optional<std::string> optional_text_at(const Json& object, const char* name, const JsonPlace& place) {
  if (!member_of(object, name)) return std::nullopt;
  return text_at(object, name, place);
}

bool flag_at(const Json& object, const char* name, bool fallback, const JsonPlace& place) {
  const Json* v = member_of(object, name);
  if (!v) return fallback;
  if (!v->is_boolean()) refuse(place.member(name), fmt::format("true or false was expected, found {}", v->type_name()));
  return v->get<bool>();
}

int64_t integer_of(const Json& value, int64_t min, int64_t max, const JsonPlace& place) {
  if (!value.is_number_integer()) refuse(place, fmt::format("a whole number was expected, found {}", value.type_name()));
  const bool huge = value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
  const int64_t v = huge ? INT64_MAX : value.get<int64_t>();
  if (huge || v < min || v > max) refuse(place, fmt::format("{} is outside {} .. {}", value.dump(), min, max));
  return v;
}

int64_t integer_at(const Json& object, const char* name, int64_t min, int64_t max, const JsonPlace& place) {
  return integer_of(required(object, name, place), min, max, place.member(name));
}

Pattern pattern_at(const Json& object, const char* name, const JsonPlace& place) {
  const JsonPlace here = place.member(name);
  const Json& v = required(object, name, place);
  if (v.is_string()) return Pattern::literal(v.get<std::string>());
  if (!v.is_object()) refuse(here, fmt::format("a pattern was expected, found {}", v.type_name()));
  if (const auto text = optional_text_at(v, "String", here)) return Pattern::literal(*text);
  if (const auto text = optional_text_at(v, "Regex", here)) return Pattern::regex(*text, place.file, "field " + here.path);
  refuse(here, "a pattern is {\"String\": ...} or {\"Regex\": ...}");
}

}  // namespace lorikeet
