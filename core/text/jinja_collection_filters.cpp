// Filters of lists and dicts. Jinja makes some of them lazy; ours give lists, which templates cannot tell apart in use.
#include <algorithm>

#include <fmt/format.h>

#include "core/base/text.h"
#include "core/text/jinja_interpreter.h"
#include "core/text/jinja_text.h"

namespace lorikeet::jinja {
namespace {

// "a.b.0" of an item, as map(attribute=...) and its kin read it.
Value path_of(const Value& item, const Value& path, Heap& heap) {
  if (!path.is_text()) return subscript_of(item, path, heap);
  Value v = item;
  for (const std::string& part : split(path.text(), '.')) {
    const auto index = parse_int(part);
    v = subscript_of(v, index ? Value::of(*index) : Value::text(part), heap);
  }
  return v;
}

Value length_filter(Interpreter&, const Value& v, const Arguments&) {
  if (v.is_undefined()) return Value::of(int64_t{0});
  if (v.is_text()) return Value::of(static_cast<int64_t>(code_points(v.text())));
  if (v.list()) return Value::of(static_cast<int64_t>(v.list()->items.size()));
  if (v.dict() && !v.dict()->is_namespace) return Value::of(static_cast<int64_t>(v.dict()->items.size()));
  fail(fmt::format("object of type '{}' has no len()", type_name(v)));
}

Value pairs_of(Interpreter& i, const std::vector<std::pair<Value, Value>>& items) {
  std::vector<Value> out;
  for (const auto& [key, value] : items) out.push_back(i.heap().list({key, value}, true));
  return i.heap().list(std::move(out));
}

Value items_filter(Interpreter& i, const Value& v, const Arguments&) {
  if (v.is_undefined()) return i.heap().list({});
  if (!v.dict() || v.dict()->is_namespace) fail("items needs a mapping, not " + type_name(v));
  return pairs_of(i, v.dict()->items);
}

Value folded(const Value& v, bool case_sensitive) { return v.is_text() && !case_sensitive ? Value::text(lower(v.text())) : v; }

// Sorts by keys, stable; equal keys keep their order also when reversed, as in Python.
template <class T>
void sort_by_key(std::vector<std::pair<Value, T>>& items, bool reverse, Heap& heap) {
  heap.charge(items.size() * 16 * sizeof(Value));
  std::stable_sort(items.begin(), items.end(), [reverse](const auto& a, const auto& b) {
    return reverse ? compare(b.first, a.first) < 0 : compare(a.first, b.first) < 0;
  });
}

Value dictsort_filter(Interpreter& i, const Value& v, const Arguments& a) {
  if (!v.dict()) fail("dictsort needs a mapping, not " + type_name(v));
  const bool case_sensitive = flag_or(a, 0, "case_sensitive", false), reverse = flag_or(a, 2, "reverse", false);
  const std::string by = text_or(a, 1, "by", "key");
  if (by != "key" && by != "value") fail("dictsort sorts by \"key\" or \"value\"");
  std::vector<std::pair<Value, std::pair<Value, Value>>> order;
  for (const auto& item : v.dict()->items) order.push_back({folded(by == "key" ? item.first : item.second, case_sensitive), item});
  sort_by_key(order, reverse, i.heap());
  std::vector<std::pair<Value, Value>> out;
  for (auto& o : order) out.push_back(std::move(o.second));
  return pairs_of(i, out);
}

Value sort_filter(Interpreter& i, const Value& v, const Arguments& a) {
  const bool reverse = flag_or(a, 0, "reverse", false), case_sensitive = flag_or(a, 1, "case_sensitive", false);
  const Value* attribute = a.find(2, "attribute");
  std::vector<std::pair<Value, Value>> order;
  for (const Value& item : items_of(v, i.heap()))
    order.push_back({folded(attribute && !attribute->is_none() ? path_of(item, *attribute, i.heap()) : item, case_sensitive), item});
  sort_by_key(order, reverse, i.heap());
  std::vector<Value> out;
  for (auto& o : order) out.push_back(std::move(o.second));
  return i.heap().list(std::move(out));
}

Value reverse_filter(Interpreter& i, const Value& v, const Arguments&) {
  std::vector<Value> items = items_of(v, i.heap());
  std::reverse(items.begin(), items.end());
  if (!v.is_text()) return i.heap().list(std::move(items));
  std::string out;
  for (const Value& c : items) out += c.text();
  return i.heap().text(std::move(out));
}

Value join_filter(Interpreter& i, const Value& v, const Arguments& a) {
  const std::string between = text_or(a, 0, "d", "");
  const Value* attribute = a.find(1, "attribute");
  std::string out;
  bool first = true;
  for (const Value& item : items_of(v, i.heap())) {
    if (!first) out += between;
    first = false;
    out += to_text(attribute && !attribute->is_none() ? path_of(item, *attribute, i.heap()) : item);
    i.heap().charge();
    if (out.size() > Heap::kLongestText) fail("a text grows over 16 MiB");
  }
  return i.heap().text(std::move(out));
}

Value end_of(Interpreter& i, const Value& v, bool front) {
  const std::vector<Value> items = items_of(v, i.heap());
  if (items.empty()) return Value::undefined("the sequence is empty, so it has no first or last item");
  return front ? items.front() : items.back();
}

// Distinct values by text form and type: quadratic comparing would be a way to hang.
Value unique_filter(Interpreter& i, const Value& v, const Arguments& a) {
  const bool case_sensitive = flag_or(a, 0, "case_sensitive", false);
  const Value* attribute = a.find(1, "attribute");
  const Value seen = i.heap().dict();
  std::vector<Value> out;
  for (const Value& item : items_of(v, i.heap())) {
    const Value key = folded(attribute && !attribute->is_none() ? path_of(item, *attribute, i.heap()) : item, case_sensitive);
    if ((key.list() && !key.list()->is_tuple) || key.dict()) fail(fmt::format("unhashable type: '{}'", type_name(key)));
    double number = 0;
    const std::string name = key.is_text() ? "s" + key.text() : as_number(key, number) ? "n" + to_text(Value::of(number)) : type_name(key) + to_repr(key);
    if (seen.dict()->find(name)) continue;
    seen.dict()->set(Value::text(name), Value::of(true));
    out.push_back(item);
  }
  return i.heap().list(std::move(out));
}

Value sum_filter(Interpreter& i, const Value& v, const Arguments& a) {
  const Value *attribute = a.find(0, "attribute"), *start = a.find(1, "start");
  Value total = start ? *start : Value::of(int64_t{0});
  for (const Value& item : items_of(v, i.heap()))
    total = binary_operation("+", total, attribute && !attribute->is_none() ? path_of(item, *attribute, i.heap()) : item, i.heap());
  return total;
}

Value extreme(Interpreter& i, const Value& v, const Arguments& a, int sign) {
  const bool case_sensitive = flag_or(a, 0, "case_sensitive", false);
  const Value* attribute = a.find(1, "attribute");
  const std::vector<Value> items = items_of(v, i.heap());
  if (items.empty()) return Value::undefined("No aggregated item, sequence was empty.");
  const auto key = [&](const Value& item) { return folded(attribute && !attribute->is_none() ? path_of(item, *attribute, i.heap()) : item, case_sensitive); };
  size_t best = 0;
  Value best_key = key(items[0]);
  for (size_t k = 1; k < items.size(); ++k)
    if (Value other = key(items[k]); compare(other, best_key) * sign > 0) best = k, best_key = std::move(other);
  return items[best];
}

Arguments rest_of(const Arguments& a, size_t skip) {
  Arguments out;
  for (size_t k = skip; k < a.positional.size(); ++k) out.positional.push_back(a.positional[k]);
  out.named = a.named;
  return out;
}

Value map_filter(Interpreter& i, const Value& v, const Arguments& a) {
  std::vector<Value> out;
  const Value* attribute = a.positional.empty() ? a.find(0, "attribute") : nullptr;
  if (!attribute && a.positional.empty()) fail("map needs a filter or attribute=...");
  const Value* fallback = attribute ? a.find(1000, "default") : nullptr;
  if (!truthy(v)) return i.heap().list({});
  for (const Value& item : items_of(v, i.heap())) {
    if (attribute) {
      const Value found = path_of(item, *attribute, i.heap());
      out.push_back(found.is_undefined() && fallback ? *fallback : found);
    } else {
      out.push_back(i.apply_filter(text_argument(a.positional[0], "the filter of map"), item, rest_of(a, 1)));
    }
  }
  return i.heap().list(std::move(out));
}

Value chosen(Interpreter& i, const Value& v, const Arguments& a, bool by_attribute, bool wanted) {
  const size_t skip = by_attribute ? 1 : 0;
  if (by_attribute && a.positional.empty()) fail("selectattr and rejectattr need the name of an attribute");
  std::vector<Value> out;
  if (!truthy(v)) return i.heap().list({});  // also none
  for (const Value& item : items_of(v, i.heap())) {
    i.heap().charge();
    const Value subject = by_attribute ? path_of(item, a.positional[0], i.heap()) : item;
    const bool holds = a.positional.size() > skip ? i.apply_test(text_argument(a.positional[skip], "the test"), subject, rest_of(a, skip + 1)) : truthy(subject);
    if (holds == wanted) out.push_back(item);
  }
  return i.heap().list(std::move(out));
}

Value batch_filter(Interpreter& i, const Value& v, const Arguments& a) {
  const int64_t n = integer_or(a, 0, "linecount", 0);
  const Value* fill = a.find(1, "fill_with");
  if (n < 1 || n > 100000) fail("batch needs a count from 1 to 100000");
  std::vector<Value> out, line;
  for (const Value& item : items_of(v, i.heap())) {
    if (static_cast<int64_t>(line.size()) == n) out.push_back(i.heap().list(std::exchange(line, {})));
    line.push_back(item);
  }
  if (!line.empty()) {
    while (fill && !fill->is_none() && static_cast<int64_t>(line.size()) < n) line.push_back(*fill);
    out.push_back(i.heap().list(std::move(line)));
  }
  return i.heap().list(std::move(out));
}

struct Named {
  std::string_view name;
  Filter filter;
};
const Named kFilters[] = {
    {"length", &length_filter},
    {"count", &length_filter},
    {"items", &items_filter},
    {"dictsort", &dictsort_filter},
    {"sort", &sort_filter},
    {"reverse", &reverse_filter},
    {"join", &join_filter},
    {"unique", &unique_filter},
    {"sum", &sum_filter},
    {"map", &map_filter},
    {"batch", &batch_filter},
    {"first", [](Interpreter& i, const Value& v, const Arguments&) { return end_of(i, v, true); }},
    {"last", [](Interpreter& i, const Value& v, const Arguments&) { return end_of(i, v, false); }},
    {"list", [](Interpreter& i, const Value& v, const Arguments&) { return i.heap().list(items_of(v, i.heap())); }},
    {"min", [](Interpreter& i, const Value& v, const Arguments& a) { return extreme(i, v, a, -1); }},
    {"max", [](Interpreter& i, const Value& v, const Arguments& a) { return extreme(i, v, a, 1); }},
    {"attr", [](Interpreter& i, const Value& v, const Arguments& a) { return method_of(v, text_or(a, 0, "name", ""), i.heap()); }},
    {"select", [](Interpreter& i, const Value& v, const Arguments& a) { return chosen(i, v, a, false, true); }},
    {"reject", [](Interpreter& i, const Value& v, const Arguments& a) { return chosen(i, v, a, false, false); }},
    {"selectattr", [](Interpreter& i, const Value& v, const Arguments& a) { return chosen(i, v, a, true, true); }},
    {"rejectattr", [](Interpreter& i, const Value& v, const Arguments& a) { return chosen(i, v, a, true, false); }},
};

}  // namespace

Filter find_collection_filter(std::string_view name) {
  const auto it = std::find_if(std::begin(kFilters), std::end(kFilters), [&](const Named& n) { return n.name == name; });
  return it == std::end(kFilters) ? nullptr : it->filter;
}

}  // namespace lorikeet::jinja
