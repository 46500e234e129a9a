// RunConfig as JSON: every value goes through its row of the field table, with the same checks from every side.
#include "core/config/run_config.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace lorikeet {
namespace {

constexpr uint64_t kMaxConfigBytes = 16u << 20;
constexpr double kExact = 9007199254740992;  // 2^53: whole doubles up to here are what was written

[[noreturn]] void refuse(const Field& f, const std::string& message) {
  throw ConfigError(std::string(f.key), fmt::format("{}: {}", f.key, message));
}

// What was found, for messages: the value itself, cut.
std::string found(const Json& v) {
  if (v.is_object()) return "an object";
  if (v.is_array()) return "a list";
  return printable(dump_json(v), 80);
}

std::string range_of(const Field& f) { return fmt::format("{} to {}", shortest(f.min), shortest(f.max)); }

double number_of(const Field& f, const Json& v, std::string_view what) {
  if (!v.is_number()) refuse(f, fmt::format("{} is expected, found {}", what, found(v)));
  const double d = v.get<double>();
  if (!(d >= f.min && d <= f.max)) refuse(f, fmt::format("{} is out of range; allowed: {}", found(v), range_of(f)));
  return d;
}

int64_t integer_of(const Field& f, const Json& v) {
  constexpr std::string_view kWhat = "a whole number";
  const double d = number_of(f, v, kWhat);
  if (v.is_number_float()) {
    if (std::nearbyint(d) != d || std::abs(d) > kExact)
      refuse(f, fmt::format("{} is expected, found {}", kWhat, found(v)));
    return static_cast<int64_t>(d);
  }
  return v.get<int64_t>();  // in range: number_of compared it with bounds below 2^53
}

bool is_gpu_number(std::string_view s) {
  constexpr std::string_view kPrefix = "cuda:";
  if (!s.starts_with(kPrefix)) return false;
  const auto n = parse_int(s.substr(kPrefix.size()));
  return n && *n >= 0 && *n < 1024;
}

std::string text_of(const Field& f, const Json& v) {
  if (!v.is_string()) refuse(f, fmt::format("a text is expected, found {}", found(v)));
  const auto& s = v.get_ref<const std::string&>();
  if (!is_valid_utf8(s)) refuse(f, fmt::format("\"{}\" is not valid UTF-8", printable(s)));
  if (s.find('\0') != std::string::npos) refuse(f, "the text contains a NUL character");
  if (f.choices.empty()) return s;
  const auto choices = split(f.choices, '|');
  for (const auto& c : choices)
    if (c == s) return s;
  if (f.key == "device.kind" && is_gpu_number(s)) return s;
  const std::string near = nearest_name(s, choices);
  refuse(f, fmt::format("\"{}\" is not one of {}{}", printable(s, 60), join(choices, ", "),
                        near.empty() ? "" : "; did you mean \"" + near + "\"?"));
}

StringList names_of(const Field& f, const Json& v) {
  StringList out;
  const bool targets = f.key == "adapter.target_modules";
  if (v.is_string()) {
    const auto& s = v.get_ref<const std::string&>();
    if (targets && !is_module_pattern(s)) {
      for (const auto& part : split(s, ',')) out.emplace_back(trim(part));
    } else if (!s.empty()) {
      out.push_back(s);
    }
  } else if (v.is_array()) {
    for (const Json& e : v) {
      if (!e.is_string()) refuse(f, fmt::format("a list of texts is expected, found {} in it", found(e)));
      out.push_back(e.get<std::string>());
    }
  } else {
    refuse(f, fmt::format("a text or a list of texts is expected, found {}", found(v)));
  }
  for (const auto& s : out) {
    text_of(f, Json(s));
    if (s.empty()) refuse(f, "an empty text stands in the list");
    if (targets && out.size() > 1 && is_module_pattern(s))
      refuse(f,
             fmt::format("\"{}\" is a pattern; a pattern stands alone, not in a list with others", printable(s, 80)));
  }
  if (targets && out.empty()) refuse(f, "names no module; all-linear takes every linear layer of the blocks");
  return out;
}

NumberMap map_of(const Field& f, const Json& v) {
  if (!v.is_object()) refuse(f, fmt::format("an object of numbers by module name is expected, found {}", found(v)));
  NumberMap out;
  for (const auto& [name, value] : v.items()) {
    if (name.empty()) refuse(f, "an empty module name");
    const double d =
        f.key == "adapter.rank_pattern" ? static_cast<double>(integer_of(f, value)) : number_of(f, value, "a number");
    out[name] = d;
  }
  return out;
}

// Sets one value after its checks.
struct Setter {
  const Field& f;
  const Json& v;
  void operator()(bool* p) const {
    if (!v.is_boolean()) refuse(f, fmt::format("true or false is expected, found {}", found(v)));
    *p = v.get<bool>();
  }
  void operator()(int64_t* p) const {
    const bool is_auto = v.is_string() && v.get_ref<const std::string&>() == "auto" && has_auto(f);
    *p = is_auto ? 0 : integer_of(f, v);
  }
  void operator()(double* p) const { *p = number_of(f, v, "a number"); }
  void operator()(std::string* p) const { *p = text_of(f, v); }
  void operator()(StringList* p) const { *p = names_of(f, v); }
  void operator()(NumberMap* p) const { *p = map_of(f, v); }
  static bool has_auto(const Field& f) { return f.key == "training.save_every" || f.key == "training.eval_every"; }
};

FieldRef ref_of(const Field& f, const RunConfig& c) { return f.ref(const_cast<RunConfig&>(c)); }  // only read through

Json json_of(const FieldRef& ref) {
  return std::visit(
      [](auto* p) -> Json {
        if constexpr (std::is_same_v<decltype(p), NumberMap*>) {
          Json j = Json::object();
          for (const auto& [name, value] : *p) j[name] = value;
          return j;
        } else {
          return *p;
        }
      },
      ref);
}

bool same(const FieldRef& a, const FieldRef& b) {
  return std::visit([&](auto* p) { return *p == *std::get<decltype(p)>(b); }, a);
}

std::string_view section_of(std::string_view key) { return key.substr(0, key.find('.')); }

bool is_section(std::string_view name) {
  for (const Field& f : config_fields())
    if (section_of(f.key) == name) return true;
  return false;
}

std::string_view name_of(std::string_view key) { return key.substr(key.rfind('.') + 1); }  // npos + 1 = 0

// "learning_rate" -> "lr", "per_device_batch_size" -> "pdbs"
std::string initials_of(std::string_view name) {
  std::string out;
  for (const auto& word : split(name, '_')) out += word.substr(0, 1);
  return out;
}

// How many neighbouring pairs of characters of `a` stand in `b`: likeness where no edit distance tells anything.
size_t shared_pairs(std::string_view a, std::string_view b) {
  size_t count = 0;
  for (size_t i = 0; i + 1 < std::min<size_t>(a.size(), 200); ++i) count += b.find(a.substr(i, 2)) != std::string_view::npos;
  return count;
}

// The known key most like an unknown one: the same name in another section, its initials, a slip of the pen, else
// whatever shares most with it.
std::string nearest_key(std::string_view key) {
  std::vector<std::string> known, same_name, same_initials;
  for (const Field& f : config_fields()) {
    known.emplace_back(f.key);
    if (name_of(f.key) == name_of(key)) same_name.emplace_back(f.key);
    if (name_of(key).size() > 1 && initials_of(name_of(f.key)) == name_of(key)) same_initials.emplace_back(f.key);
  }
  if (same_name.size() == 1) return same_name[0];
  if (same_name.empty() && same_initials.size() == 1) return same_initials[0];
  const std::string near = nearest_name(key, same_name.empty() ? known : same_name);
  if (!near.empty()) return near;
  return *std::max_element(known.begin(), known.end(), [&](const auto& a, const auto& b) { return shared_pairs(key, a) < shared_pairs(key, b); });
}

[[noreturn]] void refuse_unknown(const std::string& key) {
  throw ConfigError(key, fmt::format("unknown setting \"{}\"; the nearest is \"{}\" (lorikeet train --help lists all)",
                                     printable(key, 80), nearest_key(key)));
}

[[noreturn]] void refuse_unknown_section(const std::string& section) {
  std::vector<std::string> known;
  for (const Field& f : config_fields()) {
    if (name_of(f.key) == section) refuse_unknown(section);  // a setting outside its section
    if (known.empty() || known.back() != section_of(f.key)) known.emplace_back(section_of(f.key));
  }
  const std::string near = nearest_name(section, known);
  if (near.empty()) refuse_unknown(section);
  throw ConfigError(section, fmt::format("unknown section \"{}\"; the nearest is \"{}\"", printable(section, 80), near));
}

const Field& field_of(const std::string& key) {
  if (const Field* f = find_field(key)) return *f;
  for (const Field& f : config_fields())
    if (section_of(f.key) == key)
      throw ConfigError(key, fmt::format("\"{}\" is a section; name one of its settings, such as {}", key, f.key));
  refuse_unknown(key);
}

}  // namespace

bool is_module_pattern(std::string_view s) { return s.find_first_of("*+?[](){}|^$\\") != std::string_view::npos; }

Json config_to_json(const RunConfig& c) {
  Json out = Json::object();
  for (const Field& f : config_fields()) {
    const size_t dot = f.key.find('.');
    out[std::string(f.key.substr(0, dot))][std::string(f.key.substr(dot + 1))] = json_of(ref_of(f, c));
  }
  return out;
}

void apply_config_json(RunConfig& c, const Json& j, std::vector<std::string>* given) {
  if (!j.is_object())
    throw ConfigError("", fmt::format("a configuration is an object of sections, found {}", found(j)));
  RunConfig changed = c;  // all or nothing
  std::vector<std::string> keys;
  for (const auto& [section, members] : j.items()) {
    if (!is_section(section)) {
      if (find_field(section)) {
        const size_t dot = section.find('.');
        throw ConfigError(section, fmt::format("in a file \"{}\" is written nested: {{\"{}\": {{\"{}\": ...}}}}",
                                               section, section.substr(0, dot), section.substr(dot + 1)));
      }
      refuse_unknown_section(section);
    }
    if (!members.is_object())
      throw ConfigError(section,
                        fmt::format("{}: an object of settings is expected, found {}", section, found(members)));
    for (const auto& [name, value] : members.items()) {
      const std::string key = section + "." + name;
      set_field(changed, key, value);
      keys.push_back(key);
    }
  }
  c = std::move(changed);
  if (given) given->insert(given->end(), keys.begin(), keys.end());
}

RunConfig read_config_file(const std::string& path, std::vector<std::string>* given) {
  std::error_code unreadable;
  if (!fs::exists(path, unreadable)) throw InputError(path, "", "no such file; a configuration (JSON) is expected");
  const Json j = read_json_file(path, kMaxConfigBytes);
  RunConfig c;
  try {
    apply_config_json(c, j, given);
  } catch (const ConfigError& e) {
    throw ConfigError(e.where(), printable(path, 180) + ": " + e.what(), path);
  }
  return c;
}

Json field_value(const RunConfig& c, std::string_view key) { return json_of(ref_of(field_of(std::string(key)), c)); }

void set_field(RunConfig& c, std::string_view key, const Json& value) {
  const Field& f = field_of(std::string(key));
  std::visit(Setter{f, value}, f.ref(c));
}

std::vector<ConfigDifference> config_difference(const RunConfig& a, const RunConfig& b) {
  std::vector<ConfigDifference> out;
  for (const Field& f : config_fields())
    if (!same(ref_of(f, a), ref_of(f, b)))
      out.push_back({std::string(f.key), json_of(ref_of(f, a)), json_of(ref_of(f, b))});
  return out;
}

bool operator==(const RunConfig& a, const RunConfig& b) {
  for (const Field& f : config_fields())
    if (!same(ref_of(f, a), ref_of(f, b))) return false;
  return true;
}

}  // namespace lorikeet
