// "key=value" in both directions: --set as people type it, and the command line that repeats a configuration.
#include <optional>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/config/run_config.h"

namespace lorikeet {
namespace {

std::optional<Json> json_if_it_parses(std::string_view text) {
  try {
    return parse_json(text, "");
  } catch (const InputError&) {
    return std::nullopt;  // plain text, as most values of --set are
  }
}

template <class T>
bool holds(const Field& f) {
  RunConfig scratch;
  return std::holds_alternative<T>(f.ref(scratch));
}

// The value a person meant: JSON where the field can take it, else the text itself; lists also as a,b.
Json value_of_text(const Field& f, std::string_view text) {
  std::optional<Json> parsed = json_if_it_parses(text);
  if (holds<std::string*>(f)) return parsed && parsed->is_string() ? *parsed : Json(text);
  if (holds<StringList*>(f)) {
    if (parsed && (parsed->is_array() || parsed->is_string())) return *parsed;
    if (f.key == "adapter.target_modules" && is_module_pattern(text)) return Json(text);
    Json list = Json::array();
    if (text.empty()) return list;
    for (const auto& part : split(text, ',')) list.push_back(std::string(trim(part)));
    return list;
  }
  return parsed ? *parsed : Json(text);
}

bool is_plain_in_shell(std::string_view s) {
  for (const char c : s) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && std::string_view("_@%+=:,./-").find(c) == std::string_view::npos) return false;
  }
  return !s.empty();
}

// POSIX: within single quotes everything stands for itself but the single quote.
std::string shell_quoted(const std::string& s) {
  if (is_plain_in_shell(s)) return s;
  std::string out = "'";
  for (const char c : s) {
    if (c == '\'')
      out += "'\\''";
    else
      out += c;
  }
  return out + "'";
}

// The shortest way to write the value that --set reads back as the same; JSON always does.
std::string text_of_value(const RunConfig& c, const Field& f) {
  const Json value = field_value(c, f.key);
  std::optional<std::string> plain;
  if (value.is_string()) plain = value.get<std::string>();
  if (value.is_array()) plain = join(value.get<StringList>(), ",");
  if (plain && is_valid_utf8(*plain)) {
    RunConfig back;
    try {
      apply_set(back, fmt::format("{}={}", f.key, *plain));
      if (field_value(back, f.key) == value) return *plain;
    } catch (const ConfigError&) {
    }
  }
  return dump_json(value);
}

}  // namespace

void apply_set(RunConfig& c, std::string_view assignment, std::vector<std::string>* given) {
  const size_t equals = assignment.find('=');
  if (equals == std::string_view::npos)
    throw ConfigError(std::string(assignment),
                      fmt::format("--set takes key=value, found \"{}\"", printable(assignment, 80)));
  const std::string key(trim(assignment.substr(0, equals)));
  const Field* f = find_field(key);
  if (!f)
    set_field(c, key, nullptr);  // throws: unknown, or a section
  else
    set_field(c, key, value_of_text(*f, assignment.substr(equals + 1)));
  if (given) given->push_back(key);
}

std::string command_line_of(const RunConfig& c) {
  std::string out = "lorikeet train";
  for (const auto& d : config_difference(RunConfig{}, c))
    out += " --set " + shell_quoted(d.key + "=" + text_of_value(c, *find_field(d.key)));
  return out;
}

}  // namespace lorikeet
