// See the header; numbers are compared before they are narrowed.
#include "core/io/json_reader.h"

#include <cmath>

#include "core/base/error.h"
#include "core/base/text.h"

namespace lorikeet::detail {

std::string described(const Json& v) {
  if (v.is_string()) return "the text \"" + printable(v.get_ref<const std::string&>(), 40) + "\"";
  if (v.is_number()) return "the number " + dump_json(v);
  if (v.is_boolean()) return v.get<bool>() ? "true" : "false";
  if (v.is_array()) return "a list";
  if (v.is_object()) return "an object";
  return "null";
}

JsonReader::JsonReader(const Json& object, std::string file, std::string place)
    : object_(&object), file_(std::move(file)), place_(std::move(place)) {
  if (!object.is_object())
    throw InputError(file_, place_.empty() ? "the document" : place_,
                     "found " + described(object) + ", an object is wanted");
}

void JsonReader::fail(const std::string& key, const std::string& message) const {
  throw InputError(file_, "field " + printable(place_ + key, 90), message);
}

const Json* JsonReader::find(const std::string& key) const {
  const auto it = object_->find(key);
  return it == object_->end() || it->is_null() ? nullptr : &*it;
}

std::optional<int64_t> JsonReader::integer(const std::string& key, int64_t min, int64_t max) const {
  const Json* v = find(key);
  if (!v) return std::nullopt;
  std::optional<int64_t> n;
  if (v->is_number_unsigned()) {
    if (const auto u = v->get<uint64_t>(); u <= static_cast<uint64_t>(INT64_MAX)) n = static_cast<int64_t>(u);
  } else if (v->is_number_integer()) {
    n = v->get<int64_t>();
  } else if (v->is_number_float()) {
    if (const double d = v->get<double>(); d == std::floor(d) && std::fabs(d) < 9e15) n = static_cast<int64_t>(d);
  }
  if (!n || *n < min || *n > max)
    fail(key, "found " + described(*v) + "; a whole number from " + std::to_string(min) + " to " + std::to_string(max) +
                  " is wanted");
  return n;
}

std::optional<double> JsonReader::number(const std::string& key) const {
  const Json* v = find(key);
  if (!v) return std::nullopt;
  if (!v->is_number() || !std::isfinite(v->get<double>())) fail(key, "found " + described(*v) + "; a number is wanted");
  return v->get<double>();
}

std::optional<bool> JsonReader::boolean(const std::string& key) const {
  const Json* v = find(key);
  if (!v) return std::nullopt;
  if (!v->is_boolean()) fail(key, "found " + described(*v) + "; true or false is wanted");
  return v->get<bool>();
}

std::optional<std::string> JsonReader::text(const std::string& key) const {
  const Json* v = find(key);
  if (!v) return std::nullopt;
  if (!v->is_string()) fail(key, "found " + described(*v) + "; a text is wanted");
  return v->get<std::string>();
}

std::optional<JsonReader> JsonReader::object(const std::string& key) const {
  const Json* v = find(key);
  if (!v) return std::nullopt;
  if (!v->is_object()) fail(key, "found " + described(*v) + "; an object is wanted");
  return JsonReader(*v, file_, place_ + key + ".");
}

}  // namespace lorikeet::detail
