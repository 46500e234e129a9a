// Functions that every template sees: range, dict, namespace, raise_exception, strftime_now.
#include <chrono>
#include <cmath>
#include <ctime>

#include <fmt/format.h>

#include "core/base/system.h"
#include "core/base/text.h"
#include "core/text/jinja_interpreter.h"

namespace lorikeet::jinja {
namespace {

constexpr int64_t kLongestRange = 100'000;  // Jinja's sandbox has the same limit

Value make_range(const Arguments& a, Heap& heap) {
  int64_t start = 0, stop = 0, step = 1;
  if (a.positional.empty() || a.positional.size() > 3 || !a.named.empty()) fail("range() takes 1 to 3 numbers");
  if (a.positional.size() == 1) {
    stop = integer_argument(a.positional[0], "range()'s end");
  } else {
    start = integer_argument(a.positional[0], "range()'s start");
    stop = integer_argument(a.positional[1], "range()'s end");
    if (a.positional.size() == 3) step = integer_argument(a.positional[2], "range()'s step");
  }
  if (step == 0) fail("range() arg 3 must not be zero");
  // In double: no overflow, and exact enough for a limit.
  const double count = std::ceil((static_cast<double>(stop) - static_cast<double>(start)) / static_cast<double>(step));
  if (count > static_cast<double>(kLongestRange)) fail("range() is longer than 100000 numbers");
  std::vector<Value> out;
  int64_t v = start;
  for (int64_t i = 0; i < static_cast<int64_t>(std::max(count, 0.0)); ++i, v += step) out.push_back(Value::of(v));
  return heap.list(std::move(out));
}

Value make_dict(const Arguments& a, Heap& heap, bool is_namespace) {
  const Value d = heap.dict();
  d.dict()->is_namespace = is_namespace;
  for (const Value& given : a.positional) {
    if (given.dict()) {
      for (const auto& [key, value] : given.dict()->items) d.dict()->set(key, value);
      continue;
    }
    for (const Value& pair : items_of(given, heap)) {
      const std::vector<Value> two = items_of(pair, heap);
      if (two.size() != 2) fail("dict() takes pairs");
      d.dict()->set(two[0], two[1]);
    }
  }
  for (const auto& [name, value] : a.named) d.dict()->set(Value::text(name), value);
  return d;
}

constexpr const char* kDays[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
constexpr const char* kMonths[] = {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"};

// English names in every locale: the text goes to a model, not to a person.
std::string time_field(char c, bool plain, const std::tm& t) {
  const int hour12 = t.tm_hour % 12 == 0 ? 12 : t.tm_hour % 12;
  const auto two = [plain](int v) { return plain ? fmt::format("{}", v) : fmt::format("{:02}", v); };
  switch (c) {
    case 'Y': return fmt::format("{}", t.tm_year + 1900);
    case 'y': return two(t.tm_year % 100);
    case 'm': return two(t.tm_mon + 1);
    case 'd': return two(t.tm_mday);
    case 'e': return fmt::format("{:2}", t.tm_mday);
    case 'H': return two(t.tm_hour);
    case 'I': return two(hour12);
    case 'M': return two(t.tm_min);
    case 'S': return two(t.tm_sec);
    case 'p': return t.tm_hour < 12 ? "AM" : "PM";
    case 'j': return plain ? fmt::format("{}", t.tm_yday + 1) : fmt::format("{:03}", t.tm_yday + 1);
    case 'B': return kMonths[t.tm_mon];
    case 'b':
    case 'h': return std::string(kMonths[t.tm_mon]).substr(0, 3);
    case 'A': return kDays[t.tm_wday];
    case 'a': return std::string(kDays[t.tm_wday]).substr(0, 3);
    case 'w': return fmt::format("{}", t.tm_wday);
    case 'u': return fmt::format("{}", t.tm_wday == 0 ? 7 : t.tm_wday);
    case 'F': return fmt::format("{}-{:02}-{:02}", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday);
    case 'T': return fmt::format("{:02}:{:02}:{:02}", t.tm_hour, t.tm_min, t.tm_sec);
    case 'R': return fmt::format("{:02}:{:02}", t.tm_hour, t.tm_min);
    case 'D': return fmt::format("{:02}/{:02}/{:02}", t.tm_mon + 1, t.tm_mday, t.tm_year % 100);
    case 'n': return "\n";
    case 't': return "\t";
    case '%': return "%";
    default: fail(fmt::format("strftime_now does not know %{}", printable(std::string(1, c))));
  }
}

std::string time_text(const std::string& format, double now) {
  const auto seconds = static_cast<std::time_t>(now < 0 ? wall_seconds() : now);
  std::tm t{};
  localtime_r(&seconds, &t);
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 >= format.size()) {
      out += format[i];
      continue;
    }
    const bool plain = format[i + 1] == '-' && i + 2 < format.size();
    i += plain ? 2 : 1;
    out += time_field(format[i], plain, t);
  }
  return out;
}

}  // namespace

void add_globals(Scope& scope, Heap& heap, double now) {
  const auto add = [&](const char* name, std::function<Value(const Arguments&)> f) { scope.variables[name] = heap.callable(name, std::move(f)); };
  add("range", [&heap](const Arguments& a) { return make_range(a, heap); });
  add("dict", [&heap](const Arguments& a) { return make_dict(a, heap, false); });
  add("namespace", [&heap](const Arguments& a) { return make_dict(a, heap, true); });
  add("raise_exception", [](const Arguments& a) -> Value {
    const Value* message = a.find(0, "message");
    throw RaisedByTemplate{message ? to_text(*message) : std::string()};
  });
  add("strftime_now", [&heap, now](const Arguments& a) {
    const Value* format = a.find(0, "format");
    if (!format) fail("strftime_now needs a format");
    return heap.text(time_text(text_argument(*format, "the format"), now));
  });
}

}  // namespace lorikeet::jinja
