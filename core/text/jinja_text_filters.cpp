// Filters of texts and numbers.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "core/base/text.h"
#include "core/text/jinja_interpreter.h"
#include "core/text/jinja_text.h"
#include "core/text/unicode.h"

namespace lorikeet::jinja {
namespace {

constexpr int64_t kWidestIndent = 100;

Value trim_filter(Interpreter& i, const Value& v, const Arguments& a) {
  const Value* characters = a.find(0, "chars");
  if (!characters || characters->is_none()) return i.heap().text(std::string(strip(to_text(v), true, true)));
  const std::string set = text_argument(*characters, "chars");
  return i.heap().text(std::string(strip(to_text(v), true, true, set)));
}

// Jinja's own: words begin after blanks, "-", and opening brackets.
Value title_filter(Interpreter& i, const Value& v, const Arguments&) {
  const std::string s = to_text(v);
  std::string out;
  bool begins = true;
  for (size_t k = 0; k < s.size();) {
    const size_t at = k;
    const char32_t c = next_code_point(s, k);
    const std::string one = s.substr(at, k - at);
    const bool boundary = is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    out += begins ? upper(one) : lower(one);
    begins = boundary;
  }
  return i.heap().text(std::move(out));
}

Value replace_filter(Interpreter& i, const Value& v, const Arguments& a) {
  const Value *from = a.find(0, "old"), *to = a.find(1, "new");
  if (!from || !to) fail("replace needs the old and the new text");
  i.heap().charge(to_text(v).size());
  return i.heap().text(replace_all(to_text(v), to_text(*from), to_text(*to), integer_or(a, 2, "count", -1)));
}

Value escape_filter(Interpreter& i, const Value& v, const Arguments&) {
  std::string out;
  for (const char c : to_text(v)) {
    if (c == '&') out += "&amp;";
    else if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '\'') out += "&#39;";
    else if (c == '"') out += "&#34;";
    else out += c;
  }
  return i.heap().text(std::move(out));
}

Value indent_filter(Interpreter& i, const Value& v, const Arguments& a) {
  const Value* width = a.find(0, "width");
  std::string margin(4, ' ');
  if (width && width->is_text()) {
    margin = width->text();
  } else if (width) {
    const int64_t n = integer_argument(*width, "the width of indent");
    if (n > kWidestIndent) fail("an indent of more than 100 blanks");
    margin.assign(static_cast<size_t>(std::max<int64_t>(n, 0)), ' ');
  }
  const bool first = flag_or(a, 1, "first", false), blank = flag_or(a, 2, "blank", false);
  const std::vector<std::string> lines = split_lines(to_text(v) + "\n", false);
  std::string out;
  for (size_t k = 0; k < lines.size(); ++k) {
    if (k > 0) out += '\n';
    if (k == 0 ? first : blank || !lines[k].empty()) out += margin;
    out += lines[k];
    if (out.size() > Heap::kLongestText) fail("a text grows over 16 MiB");
  }
  return i.heap().text(std::move(out));
}

Value tojson_filter(Interpreter& i, const Value& v, const Arguments& a) {
  const Value *indent = a.find(1, "indent"), *separators = a.find(2, "separators");
  const int64_t width = indent && !indent->is_none() ? integer_argument(*indent, "indent") : -1;
  if (width > kWidestIndent) fail("an indent of more than 100 blanks");
  std::string item = width >= 0 || (indent && !indent->is_none()) ? "," : ", ", key = ": ";
  if (separators && !separators->is_none()) {
    if (!separators->list() || separators->list()->items.size() != 2) fail("separators must be two strings");
    item = text_argument(separators->list()->items[0], "a separator");
    key = text_argument(separators->list()->items[1], "a separator");
  }
  const bool lines = indent && !indent->is_none();
  return Value::text(to_json(v, lines ? static_cast<int>(std::max<int64_t>(width, 0)) : -1, item, key, flag_or(a, 3, "sort_keys", false),
                             flag_or(a, 0, "ensure_ascii", false), i.heap()));
}

// int("12"): blanks around, a sign, single underscores between digits.
std::optional<std::string> plain_number(const std::string& text) {
  std::string s(strip(text, true, true)), out;
  for (size_t k = 0; k < s.size(); ++k) {
    const auto digit = [&](size_t at) { return at < s.size() && s[at] >= '0' && s[at] <= '9'; };
    if (s[k] != '_') out += s[k];
    else if (k == 0 || !digit(k - 1) || !digit(k + 1)) return std::nullopt;
  }
  if (!out.empty() && out[0] == '+') out.erase(0, 1);
  if (out.empty() || out[0] == '+') return std::nullopt;
  return out;
}

std::optional<double> number_of_text(const std::string& s) {
  const auto plain = plain_number(s);
  return plain ? parse_double(*plain) : std::nullopt;
}

Value integer_of_real(double d, const Value& fallback) {
  if (!std::isfinite(d) || std::fabs(d) >= 9.2e18) return fallback;
  return Value::of(static_cast<int64_t>(d));
}

Value int_filter(Interpreter&, const Value& v, const Arguments& a) {
  const Value* given = a.find(0, "default");
  const Value fallback = given ? *given : Value::of(int64_t{0});
  int64_t n = 0;
  if (as_integer(v, n)) return Value::of(n);
  if (const double* d = v.as<double>()) return integer_of_real(*d, fallback);
  if (!v.is_text()) return fallback;
  if (integer_or(a, 1, "base", 10) != 10) fail("int() with another base than 10 is not supported");
  const auto plain = plain_number(v.text());
  if (!plain) return fallback;
  if (const auto i = parse_int(*plain)) return Value::of(*i);
  if (plain->find_first_not_of("-0123456789") == std::string::npos) fail("an integer grows over 64 bits");
  const auto d = parse_double(*plain);
  return d ? integer_of_real(*d, fallback) : fallback;
}

Value float_filter(Interpreter&, const Value& v, const Arguments& a) {
  const Value* given = a.find(0, "default");
  double d = 0;
  if (as_number(v, d)) return Value::of(d);
  if (v.is_text())
    if (const auto n = number_of_text(v.text())) return Value::of(*n);
  return given ? *given : Value::of(0.0);
}

Value abs_filter(Interpreter&, const Value& v, const Arguments&) {
  int64_t i = 0;
  if (as_integer(v, i)) return i < 0 ? negate(Value::of(i)) : Value::of(i);
  if (const double* d = v.as<double>()) return Value::of(std::fabs(*d));
  fail("abs needs a number, not " + type_name(v));
}

// Python's round(): halves of the exact binary value go to the even digit.
double rounded(double v, int64_t digits) {
  if (!std::isfinite(v)) return v;
  if (digits == 0) return std::nearbyint(v);
  if (digits > 300) return v;
  if (digits > 0) {
    std::array<char, 800> buffer;
    const auto r = std::to_chars(buffer.data(), buffer.data() + buffer.size(), v, std::chars_format::fixed, static_cast<int>(digits));
    return parse_double(std::string_view(buffer.data(), static_cast<size_t>(r.ptr - buffer.data()))).value_or(v);
  }
  const double unit = std::pow(10.0, static_cast<double>(std::min<int64_t>(-digits, 300)));
  return std::nearbyint(v / unit) * unit;
}

Value round_filter(Interpreter&, const Value& v, const Arguments& a) {
  const int64_t digits = integer_or(a, 0, "precision", 0);
  const std::string method = text_or(a, 1, "method", "common");
  int64_t i = 0;
  double d = 0;
  if (!as_number(v, d)) fail("round needs a number, not " + type_name(v));
  if (method == "common") {
    if (as_integer(v, i) && digits >= 0) return Value::of(i);
    if (as_integer(v, i)) return Value::of(static_cast<int64_t>(rounded(d, digits)));
    return Value::of(rounded(d, digits));
  }
  const double unit = std::pow(10.0, static_cast<double>(digits));
  if (method == "ceil") return Value::of(std::ceil(d * unit) / unit);
  if (method == "floor") return Value::of(std::floor(d * unit) / unit);
  fail("method must be common, ceil or floor");
}

Value wordcount_filter(Interpreter&, const Value& v, const Arguments&) {
  const std::string s = to_text(v);
  int64_t n = 0;
  bool inside = false;
  for (size_t k = 0; k < s.size();) {
    const bool word = is_word_character(next_code_point(s, k));
    n += word && !inside;
    inside = word;
  }
  return Value::of(n);
}

Value default_filter(Interpreter&, const Value& v, const Arguments& a) {
  const Value* given = a.find(0, "default_value");
  const Value fallback = given ? *given : Value::text("");
  return v.is_undefined() || (flag_or(a, 1, "boolean", false) && !truthy(v)) ? fallback : v;
}

struct Named {
  std::string_view name;
  Filter filter;
};
const Named kFilters[] = {
    {"trim", &trim_filter},
    {"title", &title_filter},
    {"replace", &replace_filter},
    {"escape", &escape_filter},
    {"e", &escape_filter},
    {"indent", &indent_filter},
    {"tojson", &tojson_filter},
    {"int", &int_filter},
    {"float", &float_filter},
    {"abs", &abs_filter},
    {"round", &round_filter},
    {"wordcount", &wordcount_filter},
    {"format", [](Interpreter& i, const Value& v, const Arguments& a) { return i.heap().text(printf_text(to_text(v), a.positional)); }},
    {"default", &default_filter},
    {"d", &default_filter},
    {"lower", [](Interpreter& i, const Value& v, const Arguments&) { return i.heap().text(lower(to_text(v))); }},
    {"upper", [](Interpreter& i, const Value& v, const Arguments&) { return i.heap().text(upper(to_text(v))); }},
    {"capitalize", [](Interpreter& i, const Value& v, const Arguments&) { return i.heap().text(capitalize(to_text(v))); }},
    {"string", [](Interpreter& i, const Value& v, const Arguments&) { return v.is_text() ? v : i.heap().text(to_text(v)); }},
    {"safe", [](Interpreter& i, const Value& v, const Arguments&) { return v.is_text() ? v : i.heap().text(to_text(v)); }},
};

}  // namespace

Filter find_text_filter(std::string_view name) {
  const auto it = std::find_if(std::begin(kFilters), std::end(kFilters), [&](const Named& n) { return n.name == name; });
  return it == std::end(kFilters) ? nullptr : it->filter;
}

}  // namespace lorikeet::jinja
