// Strict JSON: a SAX pass guards depth, duplicate keys and UTF-8 before and while the value is built.
#include "core/base/json.h"

#include <unordered_set>
#include <vector>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace lorikeet {
namespace {

// Builds the value itself, so that nesting can be refused before it is followed.
class Builder : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(JsonLimits limits) : limits_(limits) {}
  bool null() override { return add(nullptr); }
  bool boolean(bool v) override { return add(v); }
  bool number_integer(number_integer_t v) override { return add(v); }
  bool number_unsigned(number_unsigned_t v) override { return add(v); }
  bool number_float(number_float_t v, const string_t& text) override {
    if (v > 1.7976931348623157e308 || v < -1.7976931348623157e308) return fail("the number " + printable(text, 40) + " is out of range");
    return add(v);
  }
  bool string(string_t& v) override { return add(std::move(v)); }
  bool binary(binary_t&) override { return fail("binary data is no JSON"); }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& k) override {
    if (limits_.reject_duplicate_keys && !keys_.back().insert(k).second)
      return fail("the key \"" + printable(k, 60) + "\" stands twice in one object");
    key_ = std::move(k);
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& e) override {
    if (error_.empty()) error_ = plain(e.what());
    position_ = position;
    return false;
  }
  Json root;
  std::string error_;
  std::size_t position_ = 0;
  bool has_place_ = true;  // the parser tells no position to its handlers, so what they refuse has none

 private:
  static std::string plain(std::string text) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error ..." -> what follows the colon;
    // "[json.exception.out_of_range.406] number overflow parsing '1e999'" -> the number
    const std::string_view overflow = "number overflow parsing '";
    if (size_t at = text.find(overflow); at != std::string::npos) {
      at += overflow.size();
      return "the number " + printable(text.substr(at, text.size() - at - 1), 40) + " is out of range";
    }
    const size_t at = text.find(": ");
    return at != std::string::npos ? text.substr(at + 2) : text;
  }
  bool fail(std::string text) {
    error_ = std::move(text);
    has_place_ = false;
    return false;
  }
  template <class T>
  Json* place(T&& v) {
    if (stack_.empty()) {
      root = std::forward<T>(v);
      return &root;
    }
    Json& top = *stack_.back();
    if (top.is_array()) {
      top.push_back(std::forward<T>(v));
      return &top.back();
    }
    // Duplicate keys were refused in key(), so the append needs no look-up.
    auto& members = static_cast<Json::object_t::Container&>(top.get_ref<Json::object_t&>());
    members.emplace_back(std::move(key_), Json(std::forward<T>(v)));
    return &members.back().second;
  }
  template <class T>
  bool add(T&& v) {
    place(std::forward<T>(v));
    return true;
  }
  bool open(Json v) {
    if (static_cast<int>(stack_.size()) >= limits_.max_depth) return fail(fmt::format("nested deeper than {} levels", limits_.max_depth));
    stack_.push_back(place(std::move(v)));
    keys_.emplace_back();
    return true;
  }
  bool close() {
    stack_.pop_back();
    keys_.pop_back();
    return true;
  }

  JsonLimits limits_;
  std::vector<Json*> stack_;
  std::vector<std::unordered_set<std::string>> keys_;
  std::string key_;
};

std::string place_of(std::string_view text, size_t byte, const std::string& prefix) {
  size_t line = 1;
  for (size_t i = 0; i < byte && i < text.size(); ++i) line += text[i] == '\n';
  const std::string at = line > 1 || prefix.empty() ? fmt::format("line {}, byte {}", line, byte) : fmt::format("byte {}", byte);
  return prefix.empty() ? at : prefix + ", " + at;
}

}  // namespace

Json parse_json(std::string_view text, const std::string& file, const std::string& where_prefix, JsonLimits limits) {
  if (const auto bad = first_invalid_utf8(text))
    throw InputError(file, place_of(text, *bad, where_prefix), "not valid UTF-8; save the file as UTF-8");
  Builder builder(limits);
  bool good = false;
  try {
    good = Json::sax_parse(text.begin(), text.end(), &builder);
  } catch (const std::exception& e) {
    builder.error_ = e.what();
  }
  if (!good)
    throw InputError(file, builder.has_place_ ? place_of(text, builder.position_, where_prefix) : where_prefix,
                     "not valid JSON: " + (builder.error_.empty() ? std::string("syntax error") : builder.error_));
  return std::move(builder.root);
}

Json read_json_file(const std::string& path, uint64_t max_bytes) { return parse_json(read_file(path, max_bytes), path); }

std::string dump_json(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace lorikeet
