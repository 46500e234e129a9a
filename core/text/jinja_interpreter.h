/// Walks the parsed template (formats.md 4.8). One Interpreter renders once; its Heap holds values and budgets.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/chat_template.h"
#include "core/text/jinja_ast.h"

namespace lorikeet::jinja {

/// Variables of one block; a macro keeps the scope it was written in.
struct Scope {
  std::shared_ptr<Scope> parent;
  std::map<std::string, Value, std::less<>> variables;
};
using ScopePtr = std::shared_ptr<Scope>;

class Interpreter {
 public:
  Interpreter(const Json& variables, double now);
  Rendered run(const Body& body);
  Heap& heap() { return heap_; }
  /// Calls a filter or test by name: map('upper'), select('equalto', x).
  Value apply_filter(const std::string& name, const Value& value, const Arguments& arguments);
  bool apply_test(const std::string& name, const Value& value, const Arguments& arguments);

 private:
  enum class Flow { normal, broken, continued };
  class Capture;
  /// One level of recursion; too many are an error, so a template cannot exhaust the stack.
  class Depth {
   public:
    explicit Depth(Interpreter& i);
    ~Depth() { --i_.depth_; }
    Depth(const Depth&) = delete;
    Depth& operator=(const Depth&) = delete;

   private:
    Interpreter& i_;
  };

  Flow run_body(const Body& body, const ScopePtr& scope);
  Flow run_statement(const Statement& s, const ScopePtr& scope);
  Flow run_branch(const Statement& s, const ScopePtr& scope);
  Flow run_loop(const Statement& s, const ScopePtr& scope);
  void run_assign(const Statement& s, const ScopePtr& scope);
  void run_assign_block(const Statement& s, const ScopePtr& scope);
  void run_call_block(const Statement& s, const ScopePtr& scope);
  void assign(const std::vector<std::string>& targets, const Value& value, Scope& scope);
  void assign_attribute(const Statement& s, const Value& value, const ScopePtr& scope);
  std::string captured(const Body& body, const ScopePtr& scope);
  Value make_macro(const Statement& s, const ScopePtr& scope, const std::string& name);
  Value call_macro(const Statement& s, const ScopePtr& scope, const Arguments& arguments, const std::string& name);
  void write(std::string_view text);

  Value evaluate(const Expression& e, const ScopePtr& scope);
  Value evaluate_inner(const Expression& e, const ScopePtr& scope);
  Value evaluate_dict(const Expression& e, const ScopePtr& scope);
  Value evaluate_subscript(const Expression& e, const ScopePtr& scope);
  Value evaluate_call(const Expression& e, const ScopePtr& scope);
  Value evaluate_compare(const Expression& e, const ScopePtr& scope);
  Arguments arguments_of(const Expression& e, const ScopePtr& scope);
  Value filtered(const Expression* chain, Value start, const ScopePtr& scope);
  Value lookup(const std::string& name, const ScopePtr& scope);

  Heap heap_;
  ScopePtr globals_;
  Value seed_;  // what the empty name stands for in the filter chain of a block
  std::string* out_ = nullptr;
  std::string main_;
  std::vector<TextSpan> generation_;
  int depth_ = 0, macro_depth_ = 0;
};

bool is_known_filter(std::string_view name);
bool is_known_test(std::string_view name);
/// Operators: + - * / // % ** ~ of two values.
Value binary_operation(const std::string& op, const Value& a, const Value& b, Heap& heap);
Value negate(const Value& v);
/// Python's "%s and %d" % values: s r d i f e g x X o c and %%, with flags, width and precision.
std::string printf_text(const std::string& format, const std::vector<Value>& values);
/// `needle in haystack`.
bool contains(const Value& haystack, const Value& needle);
/// object.name and object["name"]: a method, a key, or undefined.
Value attribute_of(const Value& object, const std::string& name, Heap& heap);
Value subscript_of(const Value& object, const Value& key, Heap& heap);
/// object[start:stop:step]; null means left out.
Value slice_of(const Value& object, const Value* start, const Value* stop, const Value* step, Heap& heap);
/// Method `name` of a str, list or dict, bound to it; undefined when there is none.
Value method_of(const Value& object, const std::string& name, Heap& heap);
/// range, dict, namespace, raise_exception, strftime_now.
void add_globals(Scope& scope, Heap& heap, double now);
/// A raise_exception of the template.
struct RaisedByTemplate {
  std::string text;
};

using Filter = Value (*)(Interpreter&, const Value&, const Arguments&);
/// Lists of filters: of texts, of collections.
Filter find_text_filter(std::string_view name);
Filter find_collection_filter(std::string_view name);
using Test = bool (*)(const Value&, const Arguments&);
Test find_test(std::string_view name);
/// Argument helpers for filters and methods.
std::string text_or(const Arguments& a, size_t position, const char* name, const std::string& fallback);
int64_t integer_or(const Arguments& a, size_t position, const char* name, int64_t fallback);
bool flag_or(const Arguments& a, size_t position, const char* name, bool fallback);

}  // namespace lorikeet::jinja
