/// Typed access to one JSON object from a file, as configs need it: null counts as absent, whole numbers may be written
/// as 4096.0, and a wrong type or range is an InputError naming file and field.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "core/base/json.h"

namespace lorikeet::detail {

class JsonReader {
 public:
  /// `place` goes in front of field names: "rope_scaling.". Throws InputError when `object` is no object.
  /// The object must outlive the reader.
  JsonReader(const Json& object, std::string file, std::string place = {});
  bool has(const std::string& key) const { return find(key) != nullptr; }
  /// Null when absent or JSON null.
  const Json* find(const std::string& key) const;
  std::optional<int64_t> integer(const std::string& key, int64_t min, int64_t max) const;
  std::optional<double> number(const std::string& key) const;
  std::optional<bool> boolean(const std::string& key) const;
  std::optional<std::string> text(const std::string& key) const;
  /// A member that is an object; nothing when absent.
  std::optional<JsonReader> object(const std::string& key) const;
  const Json& json() const { return *object_; }
  const std::string& file() const { return file_; }
  [[noreturn]] void fail(const std::string& key, const std::string& message) const;

 private:
  const Json* object_;
  std::string file_, place_;
};
/// What a value is, for messages: "a text", "the number 3"...
std::string described(const Json& value);

}  // namespace lorikeet::detail
