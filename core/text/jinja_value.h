/// Values of the template language: what Python's None, bool, int, float, str, list, tuple, dict are in Jinja.
/// Containers live in the Heap of one rendering, so cycles that a template builds cost nothing to free; the Heap also
/// keeps the budgets (formats.md 4.8): every step and every byte produced is charged.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/json.h"

namespace lorikeet::jinja {

/// An error of the template: ChatTemplate turns it into an InputError with file and line.
struct TemplateError {
  int line = 0;  // 0: not known yet
  std::string message;
};
[[noreturn]] void fail(std::string message);

struct ListObject;
struct DictObject;
struct CallableObject;
struct LoopObject;
struct Undefined {
  std::shared_ptr<const std::string> what;  // "'x' is undefined"
};
struct None {};
using Text = std::shared_ptr<const std::string>;

class Value {
 public:
  using Data = std::variant<Undefined, None, bool, int64_t, double, Text, ListObject*, DictObject*, CallableObject*, LoopObject*>;
  Value() = default;
  Value(Data data) : data_(std::move(data)) {}
  static Value undefined(std::string what) { return Value(Undefined{std::make_shared<const std::string>(std::move(what))}); }
  static Value none() { return Value(None{}); }
  static Value text(std::string s) { return Value(std::make_shared<const std::string>(std::move(s))); }
  static Value of(bool b) { return Value(Data(b)); }
  static Value of(int64_t i) { return Value(Data(i)); }
  static Value of(double d) { return Value(Data(d)); }

  template <class T>
  const T* as() const { return std::get_if<T>(&data_); }
  bool is_undefined() const { return data_.index() == 0; }
  bool is_none() const { return data_.index() == 1; }
  bool is_text() const { return data_.index() == 5; }
  const std::string& text() const { return *std::get<Text>(data_); }
  ListObject* list() const { return as<ListObject*>() ? *as<ListObject*>() : nullptr; }
  DictObject* dict() const { return as<DictObject*>() ? *as<DictObject*>() : nullptr; }
  const Data& data() const { return data_; }
  /// "'x' is undefined" of an undefined value.
  std::string why_undefined() const;

 private:
  Data data_;
};

struct ListObject {
  std::vector<Value> items;
  bool is_tuple = false;
};
/// Keys keep their order; a name space is a dict that templates may assign to.
struct DictObject {
  std::vector<std::pair<Value, Value>> items;
  std::unordered_map<std::string, size_t> index;  // of text keys
  bool is_namespace = false;
  const Value* find(const Value& key) const;
  const Value* find(const std::string& key) const;
  void set(const Value& key, Value value);
};
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
  /// The argument at `position` or called `name`, or null.
  const Value* find(size_t position, const char* name) const;
};
struct CallableObject {
  std::string name;
  std::function<Value(const Arguments&)> call;
};
/// The variable `loop`.
struct LoopObject {
  const std::vector<Value>* items = nullptr;
  size_t index = 0;
};

/// Owner of what one rendering makes, and its budget.
class Heap {
 public:
  static constexpr int64_t kSteps = 1'000'000;
  static constexpr size_t kBytesPerStep = 256;
  static constexpr size_t kLongestText = 16u << 20;
  Value list(std::vector<Value> items, bool is_tuple = false);
  Value dict();
  Value callable(std::string name, std::function<Value(const Arguments&)> call);
  Value text(std::string s);
  LoopObject* loop(const std::vector<Value>* items);
  Value from_json(const Json& j, int depth = 0);
  /// One step, and one more for each 256 bytes about to be made; over the budget is an error.
  void charge(size_t bytes = 0);
  int64_t steps_used() const { return steps_; }

 private:
  std::deque<ListObject> lists_;
  std::deque<DictObject> dicts_;
  std::deque<CallableObject> callables_;
  std::deque<LoopObject> loops_;
  int64_t steps_ = 0;
};

/// "str", "list"... as Python names the type, for messages.
std::string type_name(const Value& v);
bool truthy(const Value& v);
bool equal(const Value& a, const Value& b, int depth = 0);
/// < 0, 0, > 0; fails for types Python does not order.
int compare(const Value& a, const Value& b, int depth = 0);
/// str(v) of Python; "" for an undefined value.
std::string to_text(const Value& v);
/// repr(v) of Python.
std::string to_repr(const Value& v);
/// The items that a for loop would visit: of a list, the keys of a dict, the characters of a text.
std::vector<Value> items_of(const Value& v, Heap& heap);
/// int value of an integer or boolean.
bool as_integer(const Value& v, int64_t& out);
bool as_number(const Value& v, double& out);
int64_t integer_argument(const Value& v, const char* what);
const std::string& text_argument(const Value& v, const char* what);

/// Python's repr of a float.
std::string float_repr(double d);
/// json.dumps as Hugging Face's tojson calls it. `indent` < 0: on one line.
std::string to_json(const Value& v, int indent, const std::string& item_separator, const std::string& key_separator, bool sort_keys,
                    bool ensure_ascii, Heap& heap);

}  // namespace lorikeet::jinja
