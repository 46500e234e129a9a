// Evaluation of expressions.
#include <fmt/format.h>

#include "core/base/text.h"
#include "core/text/jinja_interpreter.h"

namespace lorikeet::jinja {

Value Interpreter::lookup(const std::string& name, const ScopePtr& scope) {
  if (name.empty()) return seed_;
  for (const Scope* s = scope.get(); s; s = s->parent.get()) {
    const auto it = s->variables.find(name);
    if (it != s->variables.end()) return it->second;
  }
  return Value::undefined("'" + printable(name, 60) + "' is undefined");
}

Value Interpreter::evaluate(const Expression& e, const ScopePtr& scope) {
  const Depth depth(*this);
  heap_.charge();
  try {
    return evaluate_inner(e, scope);
  } catch (TemplateError& error) {
    if (error.line == 0) error.line = e.line;
    throw;
  }
}

Value Interpreter::evaluate_inner(const Expression& e, const ScopePtr& scope) {
  switch (e.kind) {
    case ExpressionKind::constant: return e.constant;
    case ExpressionKind::name: return lookup(e.text, scope);
    case ExpressionKind::list:
    case ExpressionKind::tuple: {
      std::vector<Value> items;
      for (const auto& p : e.parts) items.push_back(evaluate(*p, scope));
      return heap_.list(std::move(items), e.kind == ExpressionKind::tuple);
    }
    case ExpressionKind::dict: return evaluate_dict(e, scope);
    case ExpressionKind::attribute: return attribute_of(evaluate(*e.parts[0], scope), e.text, heap_);
    case ExpressionKind::subscript: return evaluate_subscript(e, scope);
    case ExpressionKind::slice: fail("a slice stands outside of a subscript");
    case ExpressionKind::call: return evaluate_call(e, scope);
    case ExpressionKind::filter: {
      const Value value = evaluate(*e.parts[0], scope);
      return apply_filter(e.text, value, arguments_of(e, scope));
    }
    case ExpressionKind::test: {
      const Value value = evaluate(*e.parts[0], scope);
      return Value::of(apply_test(e.text, value, arguments_of(e, scope)) != e.negated);
    }
    case ExpressionKind::negate: return negate(evaluate(*e.parts[0], scope));
    case ExpressionKind::positive: return negate(negate(evaluate(*e.parts[0], scope)));
    case ExpressionKind::logical_not: return Value::of(!truthy(evaluate(*e.parts[0], scope)));
    case ExpressionKind::logical_and: {
      Value a = evaluate(*e.parts[0], scope);
      return truthy(a) ? evaluate(*e.parts[1], scope) : a;
    }
    case ExpressionKind::logical_or: {
      Value a = evaluate(*e.parts[0], scope);
      return truthy(a) ? a : evaluate(*e.parts[1], scope);
    }
    case ExpressionKind::conditional:
      if (truthy(evaluate(*e.parts[1], scope))) return evaluate(*e.parts[0], scope);
      return e.parts[2] ? evaluate(*e.parts[2], scope) : Value::undefined("the inline if-expression has no else and is false");
    case ExpressionKind::binary: {
      const Value a = evaluate(*e.parts[0], scope), b = evaluate(*e.parts[1], scope);
      return binary_operation(e.text, a, b, heap_);
    }
    case ExpressionKind::compare: return evaluate_compare(e, scope);
  }
  return {};
}

Value Interpreter::evaluate_dict(const Expression& e, const ScopePtr& scope) {
  const Value d = heap_.dict();
  for (size_t i = 0; i + 1 < e.parts.size(); i += 2) {
    const Value key = evaluate(*e.parts[i], scope);
    if ((key.list() && !key.list()->is_tuple) || key.dict()) fail(fmt::format("unhashable type: '{}'", type_name(key)));
    d.dict()->set(key, evaluate(*e.parts[i + 1], scope));
  }
  return d;
}

Value Interpreter::evaluate_subscript(const Expression& e, const ScopePtr& scope) {
  const Value object = evaluate(*e.parts[0], scope);
  const Expression& key = *e.parts[1];
  if (key.kind != ExpressionKind::slice) return subscript_of(object, evaluate(key, scope), heap_);
  Value bounds[3];
  const Value* given[3] = {};
  for (size_t i = 0; i < 3; ++i) {
    if (!key.parts[i]) continue;
    bounds[i] = evaluate(*key.parts[i], scope);
    given[i] = &bounds[i];
  }
  return slice_of(object, given[0], given[1], given[2], heap_);
}

Arguments Interpreter::arguments_of(const Expression& e, const ScopePtr& scope) {
  Arguments a;
  for (size_t i = 1; i < e.parts.size(); ++i) a.positional.push_back(evaluate(*e.parts[i], scope));
  for (const auto& [name, value] : e.named) a.named.emplace_back(name, evaluate(*value, scope));
  return a;
}

Value Interpreter::evaluate_call(const Expression& e, const ScopePtr& scope) {
  const Value callee = evaluate(*e.parts[0], scope);
  const auto* c = callee.as<CallableObject*>();
  if (!c) fail(callee.is_undefined() ? callee.why_undefined() + ", so it cannot be called" : fmt::format("'{}' object is not callable", type_name(callee)));
  return (*c)->call(arguments_of(e, scope));
}

Value Interpreter::evaluate_compare(const Expression& e, const ScopePtr& scope) {
  Value left = evaluate(*e.parts[0], scope);
  for (size_t i = 0; i < e.operators.size(); ++i) {
    Value right = evaluate(*e.parts[i + 1], scope);
    const std::string& op = e.operators[i];
    bool holds = false;
    if (op == "==") holds = equal(left, right);
    else if (op == "!=") holds = !equal(left, right);
    else if (op == "in") holds = contains(right, left);
    else if (op == "not in") holds = !contains(right, left);
    else if (op == "<") holds = compare(left, right) < 0;
    else if (op == "<=") holds = compare(left, right) <= 0;
    else if (op == ">") holds = compare(left, right) > 0;
    else holds = compare(left, right) >= 0;
    if (!holds) return Value::of(false);
    left = std::move(right);
  }
  return Value::of(true);
}

Value Interpreter::apply_filter(const std::string& name, const Value& value, const Arguments& arguments) {
  heap_.charge();
  Filter f = find_text_filter(name);
  if (!f) f = find_collection_filter(name);
  if (!f) fail(fmt::format("the filter \"{}\" is not supported", printable(name, 40)));
  return f(*this, value, arguments);
}

bool Interpreter::apply_test(const std::string& name, const Value& value, const Arguments& arguments) {
  heap_.charge();
  const Test t = find_test(name);
  if (!t) fail(fmt::format("the test \"{}\" is not supported", printable(name, 40)));
  return t(value, arguments);
}

bool is_known_filter(std::string_view name) { return find_text_filter(name) || find_collection_filter(name); }
bool is_known_test(std::string_view name) { return find_test(name) != nullptr; }

}  // namespace lorikeet::jinja
