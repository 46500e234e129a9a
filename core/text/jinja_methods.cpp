// Methods of str, list and dict.
#include <algorithm>

#include <fmt/format.h>

#include "core/base/text.h"
#include "core/text/jinja_interpreter.h"
#include "core/text/jinja_text.h"
#include "core/text/unicode.h"

namespace lorikeet::jinja {
namespace {

using Method = Value (*)(const Value& self, const Arguments& a, Heap& heap);
struct Named {
  std::string_view name;
  Method method;
};

std::optional<std::string> optional_text(const Arguments& a, size_t position, const char* name) {
  const Value* v = a.find(position, name);
  if (!v || v->is_none()) return std::nullopt;
  return text_argument(*v, "the argument");
}

Value needed(const Arguments& a, size_t position, const char* name) {
  const Value* v = a.find(position, name);
  if (!v) fail(fmt::format("the argument \"{}\" is missing", name));
  return *v;
}

Value stripped(const Value& self, const Arguments& a, bool left, bool right, Heap& heap) {
  const auto characters = optional_text(a, 0, "chars");
  return heap.text(std::string(strip(self.text(), left, right, characters ? std::optional<std::string_view>(*characters) : std::nullopt)));
}

Value texts(std::vector<std::string> parts, Heap& heap) {
  std::vector<Value> out;
  for (auto& p : parts) out.push_back(heap.text(std::move(p)));
  return heap.list(std::move(out));
}

Value split_method(const Value& self, const Arguments& a, bool from_right, Heap& heap) {
  const auto separator = optional_text(a, 0, "sep");
  heap.charge(self.text().size());
  return texts(split_text(self.text(), separator ? std::optional<std::string_view>(*separator) : std::nullopt, integer_or(a, 1, "maxsplit", -1), from_right), heap);
}

// A text or a tuple of texts.
bool affix(const Value& self, const Arguments& a, bool front) {
  const Value given = needed(a, 0, "prefix");
  const std::vector<Value> one = {given};
  for (const Value& v : given.list() ? given.list()->items : one) {
    const std::string &s = self.text(), &part = text_argument(v, "the prefix or suffix");
    if (s.size() >= part.size() && s.compare(front ? 0 : s.size() - part.size(), part.size(), part) == 0) return true;
  }
  return false;
}

Value find_method(const Value& self, const Arguments& a, bool from_right) {
  const std::string part = text_argument(needed(a, 0, "sub"), "the argument");
  const size_t at = from_right ? self.text().rfind(part) : self.text().find(part);
  return Value::of(at == std::string::npos ? int64_t{-1} : static_cast<int64_t>(code_points(std::string_view(self.text()).substr(0, at))));
}

Value every(const Value& self, bool (*good)(char32_t)) {
  const std::string& s = self.text();
  for (size_t i = 0; i < s.size();)
    if (!good(next_code_point(s, i))) return Value::of(false);
  return Value::of(!s.empty());
}

Value joined(const Value& self, const Arguments& a, Heap& heap) {
  std::string out;
  bool first = true;
  for (const Value& v : items_of(needed(a, 0, "iterable"), heap)) {
    if (!first) out += self.text();
    first = false;
    out += text_argument(v, "an item of join()");
    if (out.size() > Heap::kLongestText) fail("a text grows over 16 MiB");
  }
  return heap.text(std::move(out));
}

Value counted(const Value& self, const Arguments& a) {
  const std::string part = text_argument(needed(a, 0, "sub"), "the argument");
  if (part.empty()) return Value::of(static_cast<int64_t>(code_points(self.text())) + 1);
  int64_t n = 0;
  for (size_t at = self.text().find(part); at != std::string::npos; at = self.text().find(part, at + part.size())) ++n;
  return Value::of(n);
}

Value without_affix(const Value& self, const Arguments& a, bool front, Heap& heap) {
  if (!affix(self, a, front)) return self;
  const size_t n = text_argument(needed(a, 0, "prefix"), "the argument").size();
  return heap.text(front ? self.text().substr(n) : self.text().substr(0, self.text().size() - n));
}

const Named kTextMethods[] = {
    {"strip", [](const Value& s, const Arguments& a, Heap& h) { return stripped(s, a, true, true, h); }},
    {"lstrip", [](const Value& s, const Arguments& a, Heap& h) { return stripped(s, a, true, false, h); }},
    {"rstrip", [](const Value& s, const Arguments& a, Heap& h) { return stripped(s, a, false, true, h); }},
    {"split", [](const Value& s, const Arguments& a, Heap& h) { return split_method(s, a, false, h); }},
    {"rsplit", [](const Value& s, const Arguments& a, Heap& h) { return split_method(s, a, true, h); }},
    {"splitlines", [](const Value& s, const Arguments& a, Heap& h) { return texts(split_lines(s.text(), flag_or(a, 0, "keepends", false)), h); }},
    {"startswith", [](const Value& s, const Arguments& a, Heap&) { return Value::of(affix(s, a, true)); }},
    {"endswith", [](const Value& s, const Arguments& a, Heap&) { return Value::of(affix(s, a, false)); }},
    {"replace", [](const Value& s, const Arguments& a, Heap& h) {
       const std::string from = text_argument(needed(a, 0, "old"), "the argument"), to = text_argument(needed(a, 1, "new"), "the argument");
       h.charge(s.text().size());
       return h.text(replace_all(s.text(), from, to, integer_or(a, 2, "count", -1)));
     }},
    {"upper", [](const Value& s, const Arguments&, Heap& h) { return h.text(upper(s.text())); }},
    {"lower", [](const Value& s, const Arguments&, Heap& h) { return h.text(lower(s.text())); }},
    {"title", [](const Value& s, const Arguments&, Heap& h) { return h.text(title(s.text())); }},
    {"capitalize", [](const Value& s, const Arguments&, Heap& h) { return h.text(capitalize(s.text())); }},
    {"join", [](const Value& s, const Arguments& a, Heap& h) { return joined(s, a, h); }},
    {"find", [](const Value& s, const Arguments& a, Heap&) { return find_method(s, a, false); }},
    {"rfind", [](const Value& s, const Arguments& a, Heap&) { return find_method(s, a, true); }},
    {"count", [](const Value& s, const Arguments& a, Heap&) { return counted(s, a); }},
    {"removeprefix", [](const Value& s, const Arguments& a, Heap& h) { return without_affix(s, a, true, h); }},
    {"removesuffix", [](const Value& s, const Arguments& a, Heap& h) { return without_affix(s, a, false, h); }},
    {"isdigit", [](const Value& s, const Arguments&, Heap&) { return every(s, [](char32_t c) { return is_numeric(c); }); }},
    {"isalpha", [](const Value& s, const Arguments&, Heap&) { return every(s, &is_letter); }},
    {"isalnum", [](const Value& s, const Arguments&, Heap&) { return every(s, [](char32_t c) { return is_letter(c) || is_numeric(c); }); }},
    {"isspace", [](const Value& s, const Arguments&, Heap&) { return every(s, &is_space); }},
    {"isupper", [](const Value& s, const Arguments&, Heap&) { return Value::of(upper(s.text()) == s.text() && lower(s.text()) != s.text()); }},
    {"islower", [](const Value& s, const Arguments&, Heap&) { return Value::of(lower(s.text()) == s.text() && upper(s.text()) != s.text()); }},
};

Value append_method(const Value& s, const Arguments& a, Heap& h) {
  if (s.list()->is_tuple) fail("'tuple' object has no attribute 'append'");
  h.charge();
  s.list()->items.push_back(needed(a, 0, "object"));
  return Value::none();
}

const Named kListMethods[] = {
    {"append", &append_method},
    {"count", [](const Value& s, const Arguments& a, Heap&) {
       const Value v = needed(a, 0, "value");
       return Value::of(static_cast<int64_t>(std::count_if(s.list()->items.begin(), s.list()->items.end(), [&](const Value& x) { return equal(x, v); })));
     }},
    {"index", [](const Value& s, const Arguments& a, Heap&) {
       const Value v = needed(a, 0, "value");
       for (size_t i = 0; i < s.list()->items.size(); ++i)
         if (equal(s.list()->items[i], v)) return Value::of(static_cast<int64_t>(i));
       fail(to_repr(v) + " is not in the list");
     }},
};

Value items_method(const Value& s, const Arguments&, Heap& h) {
  std::vector<Value> out;
  for (const auto& [key, value] : s.dict()->items) out.push_back(h.list({key, value}, true));
  return h.list(std::move(out));
}

Value get_method(const Value& s, const Arguments& a, Heap&) {
  const Value key = needed(a, 0, "key");
  if (const Value* v = s.dict()->find(key)) return *v;
  if (const Value* fallback = a.find(1, "default")) return *fallback;
  return Value::none();
}

const Named kDictMethods[] = {
    {"items", &items_method},
    {"keys", [](const Value& s, const Arguments&, Heap& h) { return h.list(items_of(s, h)); }},
    {"values", [](const Value& s, const Arguments&, Heap& h) {
       std::vector<Value> out;
       for (const auto& item : s.dict()->items) out.push_back(item.second);
       return h.list(std::move(out));
     }},
    {"get", &get_method},
    {"copy", [](const Value& s, const Arguments&, Heap& h) {
       const Value d = h.dict();
       h.charge(s.dict()->items.size() * 2 * sizeof(Value));
       for (const auto& [key, value] : s.dict()->items) d.dict()->set(key, value);
       return d;
     }},
};

template <size_t N>
Method find_method_in(const Named (&list)[N], std::string_view name) {
  const auto it = std::find_if(std::begin(list), std::end(list), [&](const Named& n) { return n.name == name; });
  return it == std::end(list) ? nullptr : it->method;
}

}  // namespace

Value method_of(const Value& object, const std::string& name, Heap& heap) {
  Method m = nullptr;
  if (object.is_text()) m = find_method_in(kTextMethods, name);
  else if (object.list()) m = find_method_in(kListMethods, name);
  else if (object.dict() && !object.dict()->is_namespace) m = find_method_in(kDictMethods, name);
  if (!m) return {};
  return heap.callable(name, [object, m, &heap](const Arguments& a) { return m(object, a, heap); });
}

std::string text_or(const Arguments& a, size_t position, const char* name, const std::string& fallback) {
  const Value* v = a.find(position, name);
  return v && !v->is_none() ? to_text(*v) : fallback;
}

int64_t integer_or(const Arguments& a, size_t position, const char* name, int64_t fallback) {
  const Value* v = a.find(position, name);
  return v && !v->is_none() ? integer_argument(*v, name) : fallback;
}

bool flag_or(const Arguments& a, size_t position, const char* name, bool fallback) {
  const Value* v = a.find(position, name);
  return v ? truthy(*v) : fallback;
}

}  // namespace lorikeet::jinja
