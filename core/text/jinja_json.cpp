// tojson as Hugging Face overrides it: json.dumps without HTML escaping.
#include <algorithm>

#include <fmt/format.h>

#include "core/base/text.h"
#include "core/text/jinja_value.h"

namespace lorikeet::jinja {
namespace {

class Writer {
 public:
  Writer(int indent, const std::string& item, const std::string& key, bool sort, bool ascii)
      : indent_(indent), item_(item), key_(key), sort_(sort), ascii_(ascii) {}
  std::string out;

  void value(const Value& v, int depth) {
    if (depth > 100) fail("a value is nested deeper than 100 levels");
    if (out.size() > Heap::kLongestText) fail("a text grows over 16 MiB");
    if (v.is_none()) out += "null";
    else if (const bool* b = v.as<bool>()) out += *b ? "true" : "false";
    else if (const int64_t* i = v.as<int64_t>()) out += std::to_string(*i);
    else if (const double* d = v.as<double>()) out += number(*d);
    else if (v.is_text()) text(v.text());
    else if (v.list()) list(v.list()->items, depth);
    else if (v.dict() && !v.dict()->is_namespace) dict(*v.dict(), depth);
    else fail(v.is_undefined() ? v.why_undefined() + "; it has no JSON form" : fmt::format("'{}' has no JSON form", type_name(v)));
  }

 private:
  static std::string number(double d) {
    const std::string s = float_repr(d);
    return s == "nan" ? "NaN" : s == "inf" ? "Infinity" : s == "-inf" ? "-Infinity" : s;
  }
  void line(int depth) {
    if (indent_ < 0) return;
    if (out.size() > Heap::kLongestText) fail("a text grows over 16 MiB");
    out += '\n';
    out.append(static_cast<size_t>(indent_) * static_cast<size_t>(depth), ' ');
  }
  void list(const std::vector<Value>& items, int depth) {
    if (items.empty()) return void(out += "[]");
    out += '[';
    for (size_t i = 0; i < items.size(); ++i) {
      if (i) out += item_;
      line(depth + 1);
      value(items[i], depth + 1);
    }
    line(depth);
    out += ']';
  }
  static std::string key_text(const Value& key) {
    if (key.is_text()) return key.text();
    if (key.is_none()) return "null";
    if (const bool* b = key.as<bool>()) return *b ? "true" : "false";
    if (key.as<int64_t>() || key.as<double>()) return to_text(key);
    fail(fmt::format("keys of JSON must be strings or numbers, not {}", type_name(key)));
  }
  void dict(const DictObject& d, int depth) {
    if (d.items.empty()) return void(out += "{}");
    std::vector<const std::pair<Value, Value>*> order;
    for (const auto& item : d.items) order.push_back(&item);
    if (sort_) std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return compare(a->first, b->first) < 0; });
    out += '{';
    for (size_t i = 0; i < order.size(); ++i) {
      if (i) out += item_;
      line(depth + 1);
      text(key_text(order[i]->first));
      out += key_;
      value(order[i]->second, depth + 1);
    }
    line(depth);
    out += '}';
  }
  void text(const std::string& s) {
    out += '"';
    for (size_t i = 0; i < s.size();) {
      const size_t begin = i;
      const char32_t c = next_code_point(s, i);
      switch (c) {
        case '"': out += "\\\""; break;
        case '\\': out += "\\\\"; break;
        case '\n': out += "\\n"; break;
        case '\r': out += "\\r"; break;
        case '\t': out += "\\t"; break;
        case '\b': out += "\\b"; break;
        case '\f': out += "\\f"; break;
        default:
          if (c < 0x20 || (ascii_ && c >= 0x7F && c <= 0xFFFF)) out += c == 0x7F ? "\x7F" : fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
          else if (ascii_ && c > 0xFFFF) out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((c - 0x10000u) >> 10), 0xDC00 + ((c - 0x10000u) & 0x3FF));
          else out.append(s, begin, i - begin);
      }
    }
    out += '"';
  }
  int indent_;
  std::string item_, key_;
  bool sort_, ascii_;
};

}  // namespace

std::string to_json(const Value& v, int indent, const std::string& item_separator, const std::string& key_separator, bool sort_keys,
                    bool ensure_ascii, Heap& heap) {
  Writer w(indent, item_separator, key_separator, sort_keys, ensure_ascii);
  w.value(v, 0);
  heap.charge(w.out.size());
  return std::move(w.out);
}

}  // namespace lorikeet::jinja
