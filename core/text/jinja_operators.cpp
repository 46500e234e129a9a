// Operators with Python's meaning: division floors, integers do not wrap, texts and lists can be added and repeated.
#include <cmath>

#include <fmt/format.h>

#include "core/text/jinja_interpreter.h"
#include "core/text/jinja_text.h"

namespace lorikeet::jinja {
namespace {

[[noreturn]] void unsupported(const std::string& op, const Value& a, const Value& b) {
  if (a.is_undefined()) fail(a.why_undefined());
  if (b.is_undefined()) fail(b.why_undefined());
  fail(fmt::format("unsupported operand types for {}: '{}' and '{}'", op, type_name(a), type_name(b)));
}

[[noreturn]] void overflow() { fail("an integer grows over 64 bits"); }

int64_t floor_divide(int64_t a, int64_t b) {
  if (b == 0) fail("division by zero");
  if (a == INT64_MIN && b == -1) overflow();
  const int64_t q = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

int64_t floor_modulo(int64_t a, int64_t b) {
  if (b == 0) fail("modulo by zero");
  if (b == -1) return 0;  // INT64_MIN % -1 traps
  const int64_t r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

Value integer_power(int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) fail("0 cannot be raised to a negative power");
    return Value::of(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  int64_t result = 1;
  while (exponent > 0) {
    if (exponent & 1 && __builtin_mul_overflow(result, base, &result)) overflow();
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) overflow();
  }
  return Value::of(result);
}

Value integer_operation(const std::string& op, int64_t a, int64_t b) {
  int64_t r = 0;
  if (op == "+") return __builtin_add_overflow(a, b, &r) ? (overflow(), Value()) : Value::of(r);
  if (op == "-") return __builtin_sub_overflow(a, b, &r) ? (overflow(), Value()) : Value::of(r);
  if (op == "*") return __builtin_mul_overflow(a, b, &r) ? (overflow(), Value()) : Value::of(r);
  if (op == "//") return Value::of(floor_divide(a, b));
  if (op == "%") return Value::of(floor_modulo(a, b));
  if (op == "**") return integer_power(a, b);
  if (b == 0) fail("division by zero");
  return Value::of(static_cast<double>(a) / static_cast<double>(b));
}

Value real_operation(const std::string& op, double a, double b) {
  if (op == "+") return Value::of(a + b);
  if (op == "-") return Value::of(a - b);
  if (op == "*") return Value::of(a * b);
  if (op == "**") return Value::of(std::pow(a, b));
  if (b == 0) fail("division by zero");
  if (op == "/") return Value::of(a / b);
  double r = std::fmod(a, b);
  if (r != 0 && (r < 0) != (b < 0)) r += b;
  if (op == "%") return Value::of(r);
  return Value::of(std::floor((a - r) / b + 0.5));
}

Value repeated(const Value& what, int64_t times, Heap& heap) {
  const size_t n = times > 0 ? static_cast<size_t>(times) : 0;
  const size_t unit = what.is_text() ? what.text().size() : what.list()->items.size() * sizeof(Value);
  if (n > 0 && unit > Heap::kLongestText / n) fail("a repetition grows over 16 MiB");
  heap.charge(unit * n);
  if (what.is_text()) {
    std::string out;
    out.reserve(unit * n);
    for (size_t i = 0; i < n && unit > 0; ++i) out += what.text();
    return Value::text(std::move(out));
  }
  std::vector<Value> items;
  for (size_t i = 0; i < n && unit > 0; ++i) items.insert(items.end(), what.list()->items.begin(), what.list()->items.end());
  return heap.list(std::move(items), what.list()->is_tuple);
}

}  // namespace

Value binary_operation(const std::string& op, const Value& a, const Value& b, Heap& heap) {
  if (op == "~") {
    const std::string left = to_text(a), right = to_text(b);
    heap.charge(left.size() + right.size());
    return Value::text(left + right);
  }
  int64_t i = 0, k = 0;
  if (as_integer(a, i) && as_integer(b, k)) return integer_operation(op, i, k);
  double x = 0, y = 0;
  if (as_number(a, x) && as_number(b, y)) return real_operation(op, x, y);
  if (op == "+" && a.is_text() && b.is_text()) {
    heap.charge(a.text().size() + b.text().size());
    return Value::text(a.text() + b.text());
  }
  if (op == "+" && a.list() && b.list() && a.list()->is_tuple == b.list()->is_tuple) {
    std::vector<Value> items = a.list()->items;
    items.insert(items.end(), b.list()->items.begin(), b.list()->items.end());
    return heap.list(std::move(items), a.list()->is_tuple);
  }
  if (op == "%" && a.is_text()) return heap.text(printf_text(a.text(), b.list() && b.list()->is_tuple ? b.list()->items : std::vector<Value>{b}));
  if (op == "*" && (a.is_text() || a.list()) && as_integer(b, k)) return repeated(a, k, heap);
  if (op == "*" && (b.is_text() || b.list()) && as_integer(a, i)) return repeated(b, i, heap);
  unsupported(op, a, b);
}

Value negate(const Value& v) {
  int64_t i = 0;
  if (as_integer(v, i)) {
    if (i == INT64_MIN) overflow();
    return Value::of(-i);
  }
  if (const double* d = v.as<double>()) return Value::of(-*d);
  fail(v.is_undefined() ? v.why_undefined() : fmt::format("bad operand type for unary -: '{}'", type_name(v)));
}

bool contains(const Value& haystack, const Value& needle) {
  if (haystack.is_undefined()) return false;
  if (haystack.is_text()) {
    if (!needle.is_text()) fail(needle.is_undefined() ? needle.why_undefined() : fmt::format("'in <string>' requires string as left operand, not {}", type_name(needle)));
    return haystack.text().find(needle.text()) != std::string::npos;
  }
  if (const ListObject* l = haystack.list()) {
    for (const Value& v : l->items)
      if (equal(v, needle)) return true;
    return false;
  }
  if (const DictObject* d = haystack.dict(); d && !d->is_namespace) return d->find(needle) != nullptr;
  fail(fmt::format("argument of type '{}' is not iterable", type_name(haystack)));
}

namespace {

// Python's slice indices: where to start, where to stop, over `n` items.
struct Range {
  int64_t start, stop, step;
};
Range slice_range(int64_t n, const Value* start, const Value* stop, const Value* step) {
  const auto given = [](const Value* v) { return v && !v->is_none(); };
  Range r{0, 0, 1};
  if (given(step)) r.step = integer_argument(*step, "a slice index");
  if (r.step == 0) fail("slice step cannot be zero");
  if (r.step < -n - 1) r.step = -n - 1;
  if (r.step > n + 1) r.step = n + 1;
  const auto bound = [&](const Value* v, int64_t otherwise) {
    if (!given(v)) return otherwise;
    int64_t i = integer_argument(*v, "a slice index");
    if (i < 0) i = i < -n ? -1 : i + n;
    const int64_t low = r.step < 0 ? -1 : 0, high = r.step < 0 ? n - 1 : n;
    return i < low ? low : i > high ? high : i;
  };
  r.start = bound(start, r.step < 0 ? n - 1 : 0);
  r.stop = bound(stop, r.step < 0 ? -1 : n);
  return r;
}

}  // namespace

Value slice_of(const Value& object, const Value* start, const Value* stop, const Value* step, Heap& heap) {
  if (object.is_undefined()) fail(object.why_undefined());
  if (!object.is_text() && !object.list()) fail(fmt::format("'{}' object cannot be sliced", type_name(object)));
  const std::vector<Value> items = object.is_text() ? items_of(object, heap) : std::vector<Value>();
  const std::vector<Value>& all = object.is_text() ? items : object.list()->items;
  const Range r = slice_range(static_cast<int64_t>(all.size()), start, stop, step);
  std::vector<Value> out;
  for (int64_t i = r.start; r.step > 0 ? i < r.stop : i > r.stop; i += r.step) out.push_back(all[static_cast<size_t>(i)]);
  if (!object.is_text()) return heap.list(std::move(out), object.list()->is_tuple);
  std::string text;
  for (const Value& v : out) text += v.text();
  return heap.text(std::move(text));
}

namespace {

Value loop_attribute(const LoopObject& loop, const std::string& name, Heap& heap) {
  const auto i = static_cast<int64_t>(loop.index), n = static_cast<int64_t>(loop.items->size());
  if (name == "index") return Value::of(i + 1);
  if (name == "index0") return Value::of(i);
  if (name == "revindex") return Value::of(n - i);
  if (name == "revindex0") return Value::of(n - i - 1);
  if (name == "first") return Value::of(i == 0);
  if (name == "last") return Value::of(i == n - 1);
  if (name == "length") return Value::of(n);
  if (name == "depth") return Value::of(int64_t{1});
  if (name == "depth0") return Value::of(int64_t{0});
  if (name == "previtem") return i > 0 ? (*loop.items)[loop.index - 1] : Value::undefined("there is no previous item");
  if (name == "nextitem") return i + 1 < n ? (*loop.items)[loop.index + 1] : Value::undefined("there is no next item");
  if (name == "cycle")
    return heap.callable("cycle", [i](const Arguments& a) {
      if (a.positional.empty()) fail("no items for cycling given");
      return a.positional[static_cast<size_t>(i) % a.positional.size()];
    });
  return Value::undefined("loop has no attribute '" + name + "'");
}

}  // namespace

Value attribute_of(const Value& object, const std::string& name, Heap& heap) {
  if (object.is_undefined()) fail(object.why_undefined());
  if (const auto* loop = object.as<LoopObject*>()) return loop_attribute(**loop, name, heap);
  const Value method = method_of(object, name, heap);
  if (!method.is_undefined()) return method;
  if (const DictObject* d = object.dict())
    if (const Value* v = d->find(name)) return *v;
  return Value::undefined(fmt::format("'{} object' has no attribute '{}'", type_name(object), name));
}

Value subscript_of(const Value& object, const Value& key, Heap& heap) {
  if (object.is_undefined()) fail(object.why_undefined());
  if (const DictObject* d = object.dict()) {
    if (const Value* v = d->find(key)) return *v;
  } else if (object.list() || object.is_text()) {
    int64_t i = 0;
    if (as_integer(key, i)) {
      const auto n = static_cast<int64_t>(object.list() ? object.list()->items.size() : code_points(object.text()));
      if (i < 0) i += n;
      if (i < 0 || i >= n) return Value::undefined(fmt::format("'{} object' has no element {}", type_name(object), to_text(key)));
      if (object.list()) return object.list()->items[static_cast<size_t>(i)];
      heap.charge(object.text().size() / 8);
      const size_t begin = offset_of(object.text(), static_cast<size_t>(i)), end = begin + offset_of(std::string_view(object.text()).substr(begin), 1);
      return Value::text(object.text().substr(begin, end - begin));
    }
  }
  if (key.is_text()) return attribute_of(object, key.text(), heap);
  return Value::undefined(fmt::format("'{} object' has no element {}", type_name(object), to_repr(key)));
}

}  // namespace lorikeet::jinja
