#include "core/text/jinja_value.h"

#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "core/base/text.h"
#include "core/text/jinja_text.h"

namespace lorikeet::jinja {
namespace {

constexpr int kDeepest = 100;  // nesting of values; a template can put a list into itself

void check_depth(int depth) {
  if (depth > kDeepest) fail("a value is nested deeper than 100 levels");
}

std::string repr(const Value& v, int depth);

std::string list_repr(const ListObject& l, int depth) {
  std::string out = l.is_tuple ? "(" : "[";
  for (size_t i = 0; i < l.items.size(); ++i) {
    if (i) out += ", ";
    out += repr(l.items[i], depth + 1);
    if (out.size() > Heap::kLongestText) fail("a text grows over 16 MiB");
  }
  if (l.is_tuple && l.items.size() == 1) out += ",";
  return out + (l.is_tuple ? ")" : "]");
}

std::string dict_repr(const DictObject& d, int depth) {
  std::string out = d.is_namespace ? "<Namespace {" : "{";
  for (size_t i = 0; i < d.items.size(); ++i) {
    if (i) out += ", ";
    out += repr(d.items[i].first, depth + 1) + ": " + repr(d.items[i].second, depth + 1);
    if (out.size() > Heap::kLongestText) fail("a text grows over 16 MiB");
  }
  return out + (d.is_namespace ? "}>" : "}");
}

std::string repr(const Value& v, int depth) {
  check_depth(depth);
  if (v.is_undefined()) return "Undefined";
  if (v.is_none()) return "None";
  if (const bool* b = v.as<bool>()) return *b ? "True" : "False";
  if (const int64_t* i = v.as<int64_t>()) return std::to_string(*i);
  if (const double* d = v.as<double>()) return float_repr(*d);
  if (v.is_text()) return text_repr(v.text());
  if (const ListObject* l = v.list()) return list_repr(*l, depth);
  if (const DictObject* d = v.dict()) return dict_repr(*d, depth);
  if (const auto* c = v.as<CallableObject*>()) return "<function " + (*c)->name + ">";
  return "<loop>";
}

}  // namespace

void fail(std::string message) { throw TemplateError{0, std::move(message)}; }

std::string Value::why_undefined() const {
  const auto* u = as<Undefined>();
  return u && u->what ? *u->what : "the value is undefined";
}

const Value* DictObject::find(const std::string& key) const {
  const auto it = index.find(key);
  return it == index.end() ? nullptr : &items[it->second].second;
}

const Value* DictObject::find(const Value& key) const {
  if (key.is_text()) return find(key.text());
  for (const auto& [k, v] : items)
    if (!k.is_text() && equal(k, key)) return &v;
  return nullptr;
}

void DictObject::set(const Value& key, Value value) {
  if (const Value* known = find(key)) {
    *const_cast<Value*>(known) = std::move(value);  // found in this very object
    return;
  }
  if (key.is_text()) index[key.text()] = items.size();
  items.emplace_back(key, std::move(value));
}

const Value* Arguments::find(size_t position, const char* name) const {
  if (position < positional.size()) return &positional[position];
  for (const auto& [n, v] : named)
    if (n == name) return &v;
  return nullptr;
}

void Heap::charge(size_t bytes) {
  if (bytes > kLongestText) fail("a text or list grows over 16 MiB");
  steps_ += 1 + static_cast<int64_t>(bytes / kBytesPerStep);
  if (steps_ > kSteps) fail("the template takes more than a million steps");
}

Value Heap::list(std::vector<Value> items, bool is_tuple) {
  charge(items.size() * sizeof(Value));
  lists_.push_back({std::move(items), is_tuple});
  return Value(&lists_.back());
}

Value Heap::dict() {
  charge();
  dicts_.emplace_back();
  return Value(&dicts_.back());
}

Value Heap::callable(std::string name, std::function<Value(const Arguments&)> call) {
  charge();
  callables_.push_back({std::move(name), std::move(call)});
  return Value(&callables_.back());
}

Value Heap::text(std::string s) {
  charge(s.size());
  return Value::text(std::move(s));
}

LoopObject* Heap::loop(const std::vector<Value>* items) {
  loops_.push_back({items, 0});
  return &loops_.back();
}

// What the caller gives is not charged: only the template's own work is.
Value Heap::from_json(const Json& j, int depth) {
  if (depth > 90) fail("the variables are nested deeper than 90 levels");
  switch (j.type()) {
    case Json::value_t::boolean: return Value::of(j.get<bool>());
    case Json::value_t::number_integer: return Value::of(j.get<int64_t>());
    case Json::value_t::number_unsigned:
      return j.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX) ? Value::of(static_cast<int64_t>(j.get<uint64_t>())) : Value::of(j.get<double>());
    case Json::value_t::number_float: return Value::of(j.get<double>());
    case Json::value_t::string: return Value::text(j.get<std::string>());
    case Json::value_t::array: {
      lists_.emplace_back();
      ListObject& l = lists_.back();
      for (const Json& e : j) l.items.push_back(from_json(e, depth + 1));
      return Value(&l);
    }
    case Json::value_t::object: {
      dicts_.emplace_back();
      DictObject& d = dicts_.back();
      for (const auto& [key, value] : j.items()) d.set(Value::text(key), from_json(value, depth + 1));
      return Value(&d);
    }
    default: return Value::none();
  }
}

std::string type_name(const Value& v) {
  static const std::array<const char*, 10> kNames = {"Undefined", "NoneType", "bool", "int", "float", "str", "list", "dict", "function", "loop"};
  if (v.list() && v.list()->is_tuple) return "tuple";
  if (v.dict() && v.dict()->is_namespace) return "Namespace";
  return kNames[v.data().index()];
}

bool truthy(const Value& v) {
  if (v.is_undefined() || v.is_none()) return false;
  if (const bool* b = v.as<bool>()) return *b;
  if (const int64_t* i = v.as<int64_t>()) return *i != 0;
  if (const double* d = v.as<double>()) return *d != 0;
  if (v.is_text()) return !v.text().empty();
  if (v.list()) return !v.list()->items.empty();
  if (v.dict()) return v.dict()->is_namespace || !v.dict()->items.empty();
  return true;
}

bool as_integer(const Value& v, int64_t& out) {
  if (const int64_t* i = v.as<int64_t>()) return out = *i, true;
  if (const bool* b = v.as<bool>()) return out = *b, true;
  return false;
}

bool as_number(const Value& v, double& out) {
  int64_t i = 0;
  if (as_integer(v, i)) return out = static_cast<double>(i), true;
  if (const double* d = v.as<double>()) return out = *d, true;
  return false;
}

bool equal(const Value& a, const Value& b, int depth) {
  check_depth(depth);
  int64_t i = 0, k = 0;
  if (as_integer(a, i) && as_integer(b, k)) return i == k;
  double x = 0, y = 0;
  if (as_number(a, x) && as_number(b, y)) return x == y;
  if (a.is_text() && b.is_text()) return a.text() == b.text();
  if (a.list() && b.list()) {
    const auto &l = a.list()->items, &r = b.list()->items;
    if (a.list()->is_tuple != b.list()->is_tuple || l.size() != r.size()) return false;
    for (size_t n = 0; n < l.size(); ++n)
      if (!equal(l[n], r[n], depth + 1)) return false;
    return true;
  }
  if (a.dict() && b.dict()) {
    if (a.dict() == b.dict()) return true;
    if (a.dict()->is_namespace || b.dict()->is_namespace || a.dict()->items.size() != b.dict()->items.size()) return false;
    for (const auto& [key, value] : a.dict()->items) {
      const Value* other = b.dict()->find(key);
      if (!other || !equal(value, *other, depth + 1)) return false;
    }
    return true;
  }
  if (a.data().index() != b.data().index()) return false;
  if (a.is_undefined() || a.is_none()) return true;
  if (const auto* c = a.as<CallableObject*>()) return *c == *b.as<CallableObject*>();
  if (const auto* l = a.as<LoopObject*>()) return *l == *b.as<LoopObject*>();
  return false;
}

int compare(const Value& a, const Value& b, int depth) {
  check_depth(depth);
  int64_t i = 0, k = 0;
  if (as_integer(a, i) && as_integer(b, k)) return i < k ? -1 : i > k;
  double x = 0, y = 0;
  if (as_number(a, x) && as_number(b, y)) return x < y ? -1 : x > y;
  if (a.is_text() && b.is_text()) return a.text().compare(b.text());  // bytes of UTF-8 sort as code points do
  if (a.list() && b.list() && a.list()->is_tuple == b.list()->is_tuple) {
    const auto &l = a.list()->items, &r = b.list()->items;
    for (size_t n = 0; n < l.size() && n < r.size(); ++n)
      if (!equal(l[n], r[n], depth + 1)) return compare(l[n], r[n], depth + 1);
    return l.size() < r.size() ? -1 : l.size() > r.size();
  }
  if (a.is_undefined()) fail(a.why_undefined());
  if (b.is_undefined()) fail(b.why_undefined());
  fail(fmt::format("'{}' and '{}' cannot be ordered", type_name(a), type_name(b)));
}

std::string to_text(const Value& v) {
  if (v.is_text()) return v.text();
  return v.is_undefined() ? std::string() : repr(v, 0);
}

std::string to_repr(const Value& v) { return repr(v, 0); }

std::vector<Value> items_of(const Value& v, Heap& heap) {
  std::vector<Value> out;
  if (v.is_undefined()) return out;
  if (const ListObject* l = v.list()) {
    heap.charge(l->items.size() * sizeof(Value));
    return l->items;
  }
  if (v.dict() && !v.dict()->is_namespace) {
    heap.charge(v.dict()->items.size() * sizeof(Value));
    for (const auto& item : v.dict()->items) out.push_back(item.first);
    return out;
  }
  if (v.is_text()) {
    const std::string& s = v.text();
    heap.charge(s.size() * 8);
    for (size_t i = 0; i < s.size();) {
      const size_t begin = i;
      next_code_point(s, i);
      out.push_back(Value::text(s.substr(begin, i - begin)));
    }
    return out;
  }
  fail(fmt::format("'{}' object is not iterable", type_name(v)));
}

int64_t integer_argument(const Value& v, const char* what) {
  int64_t i = 0;
  if (!as_integer(v, i)) fail(fmt::format("{} must be a whole number, not {}", what, type_name(v)));
  return i;
}

const std::string& text_argument(const Value& v, const char* what) {
  if (!v.is_text()) fail(v.is_undefined() ? v.why_undefined() : fmt::format("{} must be a string, not {}", what, type_name(v)));
  return v.text();
}

std::string float_repr(double d) {
  if (std::isnan(d)) return "nan";
  if (std::isinf(d)) return d > 0 ? "inf" : "-inf";
  std::array<char, 64> buffer;
  // Python switches to an exponent below 1e-4 and from 1e16 on.
  const bool exponent = d != 0 && (std::fabs(d) < 1e-4 || std::fabs(d) >= 1e16);
  const auto r = std::to_chars(buffer.data(), buffer.data() + buffer.size(), d, exponent ? std::chars_format::scientific : std::chars_format::fixed);
  std::string s(buffer.data(), r.ptr);
  if (!exponent && s.find('.') == std::string::npos) s += ".0";
  return s;
}

}  // namespace lorikeet::jinja
