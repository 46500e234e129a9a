// "%s" % value.
#include <fmt/format.h>

#include "core/base/text.h"
#include "core/text/jinja_interpreter.h"
#include "core/text/jinja_text.h"

namespace lorikeet::jinja {
namespace {

struct Conversion {
  bool left = false, zero = false, plus = false, blank = false, alternate = false;
  int width = 0, precision = -1;
  char kind = 0;
};

int small_number(const std::string& s, size_t& i) {
  int v = 0;
  for (; i < s.size() && s[i] >= '0' && s[i] <= '9'; ++i) {
    v = v * 10 + (s[i] - '0');
    if (v > 1000) fail("a width or precision over 1000 in a % format");
  }
  return v;
}

Conversion read_conversion(const std::string& s, size_t& i) {
  Conversion c;
  for (; i < s.size(); ++i) {
    if (s[i] == '-') c.left = true;
    else if (s[i] == '0') c.zero = true;
    else if (s[i] == '+') c.plus = true;
    else if (s[i] == ' ') c.blank = true;
    else if (s[i] == '#') c.alternate = true;
    else break;
  }
  c.width = small_number(s, i);
  if (i < s.size() && s[i] == '.') c.precision = small_number(s, ++i);
  if (i >= s.size()) fail("incomplete % format");
  c.kind = s[i++];
  return c;
}

std::string signed_text(const Conversion& c, bool negative, std::string digits) {
  const std::string sign = negative ? "-" : c.plus ? "+" : c.blank ? " " : "";
  while (c.zero && !c.left && static_cast<int>(sign.size() + digits.size()) < c.width) digits.insert(0, "0");
  return sign + digits;
}

std::string integer_text(const Conversion& c, const Value& v) {
  int64_t i = 0;
  if (const double* d = v.as<double>()) i = static_cast<int64_t>(*d);
  else if (!as_integer(v, i)) fail(fmt::format("%{} format: a number is required, not {}", c.kind, type_name(v)));
  const uint64_t magnitude = i < 0 ? 0 - static_cast<uint64_t>(i) : static_cast<uint64_t>(i);
  std::string digits = c.kind == 'x' ? fmt::format("{:x}", magnitude) : c.kind == 'X' ? fmt::format("{:X}", magnitude) : c.kind == 'o' ? fmt::format("{:o}", magnitude) : std::to_string(magnitude);
  while (static_cast<int>(digits.size()) < c.precision) digits.insert(0, "0");
  if (c.alternate && c.kind != 'd' && c.kind != 'i') digits.insert(0, c.kind == 'o' ? "0o" : c.kind == 'x' ? "0x" : "0X");
  return signed_text(c, i < 0, std::move(digits));
}

std::string real_text(const Conversion& c, const Value& v) {
  double d = 0;
  if (!as_number(v, d)) fail(fmt::format("must be real number, not {}", type_name(v)));
  const int precision = c.precision < 0 ? 6 : c.precision;
  const double magnitude = d < 0 ? -d : d;
  const std::string digits = c.kind == 'f' || c.kind == 'F' ? fmt::format("{:.{}f}", magnitude, precision)
                             : c.kind == 'e' ? fmt::format("{:.{}e}", magnitude, precision)
                             : c.kind == 'E' ? fmt::format("{:.{}E}", magnitude, precision)
                             : c.kind == 'g' ? fmt::format("{:.{}g}", magnitude, precision) : fmt::format("{:.{}G}", magnitude, precision);
  return signed_text(c, d < 0, digits);
}

std::string converted(const Conversion& c, const Value& v) {
  std::string text;
  switch (c.kind) {
    case 's': text = to_text(v); break;
    case 'r': text = to_repr(v); break;
    case 'c': text = v.is_text() ? v.text() : ""; break;
    case 'd': case 'i': case 'u': case 'x': case 'X': case 'o': return integer_text(c, v);
    case 'f': case 'F': case 'e': case 'E': case 'g': case 'G': return real_text(c, v);
    default: fail(fmt::format("unsupported format character '{}'", printable(std::string(1, c.kind))));
  }
  if (c.precision >= 0 && code_points(text) > static_cast<size_t>(c.precision)) text.resize(offset_of(text, static_cast<size_t>(c.precision)));
  return text;
}

}  // namespace

std::string printf_text(const std::string& format, const std::vector<Value>& values) {
  std::string out;
  size_t used = 0;
  for (size_t i = 0; i < format.size();) {
    if (format[i] != '%') {
      out += format[i++];
      continue;
    }
    const Conversion c = read_conversion(format, ++i);
    if (c.kind == '%') {
      out += '%';
      continue;
    }
    if (used >= values.size()) fail("not enough arguments for format string");
    const std::string text = converted(c, values[used++]);
    const size_t n = code_points(text), pad = static_cast<size_t>(c.width) > n ? static_cast<size_t>(c.width) - n : 0;
    out += c.left ? text + std::string(pad, ' ') : std::string(pad, ' ') + text;
    if (out.size() > Heap::kLongestText) fail("a text grows over 16 MiB");
  }
  if (used < values.size() && !(values.size() == 1 && values[0].dict())) fail("not all arguments converted during string formatting");
  return out;
}

}  // namespace lorikeet::jinja
