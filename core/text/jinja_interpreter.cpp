// Statements and scopes; expressions are in jinja_expressions.cpp.
#include "core/text/jinja_interpreter.h"

#include <fmt/format.h>

#include "core/base/text.h"

namespace lorikeet::jinja {
namespace {

constexpr int kDeepestMacro = 100;
constexpr int kDeepestEvaluation = 1200;
constexpr size_t kLongestOutput = 16u << 20;

}  // namespace

// Puts what a body writes somewhere else for as long as it lives.
class Interpreter::Capture {
 public:
  Capture(Interpreter& i, std::string& target) : i_(i), before_(i.out_) { i_.out_ = &target; }
  ~Capture() { i_.out_ = before_; }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

 private:
  Interpreter& i_;
  std::string* before_;
};

Interpreter::Interpreter(const Json& variables, double now) : globals_(std::make_shared<Scope>()) {
  add_globals(*globals_, heap_, now);
  if (variables.is_object())
    for (const auto& [name, value] : variables.items()) globals_->variables[name] = heap_.from_json(value);
}

Interpreter::Depth::Depth(Interpreter& i) : i_(i) {
  if (i_.depth_ >= kDeepestEvaluation) fail("blocks, expressions and macros are nested too deeply");
  ++i_.depth_;
}

Rendered Interpreter::run(const Body& body) {
  out_ = &main_;
  const auto scope = std::make_shared<Scope>();
  scope->parent = globals_;
  run_body(body, scope);
  return {std::move(main_), std::move(generation_)};
}

void Interpreter::write(std::string_view text) {
  heap_.charge(text.size());
  if (out_->size() + text.size() > kLongestOutput) fail("the rendered text is longer than 16 MiB");
  out_->append(text);
}

Interpreter::Flow Interpreter::run_body(const Body& body, const ScopePtr& scope) {
  const Depth depth(*this);
  for (const auto& s : body) {
    heap_.charge();
    try {
      const Flow flow = run_statement(*s, scope);
      if (flow != Flow::normal) return flow;
    } catch (TemplateError& e) {
      if (e.line == 0) e.line = s->line;
      throw;
    }
  }
  return Flow::normal;
}

Interpreter::Flow Interpreter::run_statement(const Statement& s, const ScopePtr& scope) {
  switch (s.kind) {
    case StatementKind::text: write(s.text); break;
    case StatementKind::print: {
      const Value v = evaluate(*s.expressions[0], scope);
      write(v.is_text() ? v.text() : to_text(v));
      break;
    }
    case StatementKind::branch: return run_branch(s, scope);
    case StatementKind::loop: return run_loop(s, scope);
    case StatementKind::assign: run_assign(s, scope); break;
    case StatementKind::assign_block: run_assign_block(s, scope); break;
    case StatementKind::macro: scope->variables[s.text] = make_macro(s, scope, s.text); break;
    case StatementKind::call_block: run_call_block(s, scope); break;
    case StatementKind::filter_block: write(to_text(filtered(s.expressions[0].get(), heap_.text(captured(s.bodies[0], scope)), scope))); break;
    case StatementKind::with: {
      const auto inner = std::make_shared<Scope>();
      inner->parent = scope;
      for (size_t i = 0; i < s.targets.size(); ++i) inner->variables[s.targets[i]] = evaluate(*s.expressions[i], scope);
      return run_body(s.bodies[0], inner);
    }
    case StatementKind::generation: {
      const size_t begin = main_.size();
      const bool counts = out_ == &main_;  // not inside a macro or a captured block: nobody knows where that text goes
      const auto inner = std::make_shared<Scope>();
      inner->parent = scope;
      const Flow flow = run_body(s.bodies[0], inner);
      if (counts) generation_.push_back({begin, main_.size()});
      return flow;
    }
    case StatementKind::break_loop: return Flow::broken;
    case StatementKind::continue_loop: return Flow::continued;
  }
  return Flow::normal;
}

Interpreter::Flow Interpreter::run_branch(const Statement& s, const ScopePtr& scope) {
  for (size_t i = 0; i < s.expressions.size(); ++i)
    if (truthy(evaluate(*s.expressions[i], scope))) return run_body(s.bodies[i], scope);
  return s.bodies.size() > s.expressions.size() ? run_body(s.bodies.back(), scope) : Flow::normal;
}

Interpreter::Flow Interpreter::run_loop(const Statement& s, const ScopePtr& scope) {
  std::vector<Value> items = items_of(evaluate(*s.expressions[0], scope), heap_);
  if (s.expressions[1]) {
    std::vector<Value> kept;
    for (Value& v : items) {
      const auto inner = std::make_shared<Scope>();
      inner->parent = scope;
      assign(s.targets, v, *inner);
      if (truthy(evaluate(*s.expressions[1], inner))) kept.push_back(std::move(v));
    }
    items = std::move(kept);
  }
  // The list outlives the loop when the template keeps `loop` somewhere.
  const Value list = heap_.list(std::move(items));
  const std::vector<Value>& visited = list.list()->items;
  if (visited.empty()) return s.bodies.size() > 1 ? run_body(s.bodies[1], scope) : Flow::normal;
  LoopObject* loop = heap_.loop(&visited);
  for (size_t i = 0; i < visited.size(); ++i) {
    heap_.charge();
    loop->index = i;
    const auto inner = std::make_shared<Scope>();
    inner->parent = scope;
    inner->variables["loop"] = Value(loop);
    assign(s.targets, visited[i], *inner);
    if (run_body(s.bodies[0], inner) == Flow::broken) break;
  }
  return Flow::normal;
}

void Interpreter::assign(const std::vector<std::string>& targets, const Value& value, Scope& scope) {
  if (targets.size() == 1) {
    scope.variables[targets[0]] = value;
    return;
  }
  const std::vector<Value> items = items_of(value, heap_);
  if (items.size() != targets.size()) fail(fmt::format("{} values cannot be unpacked into {} names", items.size(), targets.size()));
  for (size_t i = 0; i < targets.size(); ++i) scope.variables[targets[i]] = items[i];
}

void Interpreter::assign_attribute(const Statement& s, const Value& value, const ScopePtr& scope) {
  const Value object = lookup(s.targets[0], scope);
  if (!object.dict() || !object.dict()->is_namespace) fail(fmt::format("\"{}\" is no namespace: attributes can be set on namespaces only", printable(s.targets[0], 40)));
  object.dict()->set(Value::text(s.targets[1]), value);
}

void Interpreter::run_assign(const Statement& s, const ScopePtr& scope) {
  const Value value = evaluate(*s.expressions[0], scope);
  if (s.to_attribute) assign_attribute(s, value, scope);
  else assign(s.targets, value, *scope);
}

void Interpreter::run_assign_block(const Statement& s, const ScopePtr& scope) {
  const Value value = filtered(s.expressions[0].get(), heap_.text(captured(s.bodies[0], scope)), scope);
  if (s.to_attribute) assign_attribute(s, value, scope);
  else scope->variables[s.targets[0]] = value;
}

std::string Interpreter::captured(const Body& body, const ScopePtr& scope) {
  std::string text;
  const Capture capture(*this, text);
  const auto inner = std::make_shared<Scope>();
  inner->parent = scope;
  run_body(body, inner);
  return text;
}

Value Interpreter::filtered(const Expression* chain, Value start, const ScopePtr& scope) {
  if (!chain) return start;
  const Value before = std::exchange(seed_, std::move(start));
  Value result = evaluate(*chain, scope);
  seed_ = before;
  return result;
}

Value Interpreter::make_macro(const Statement& s, const ScopePtr& scope, const std::string& name) {
  // The scope is held weakly: it lives while its block runs, and only then can the macro be reached by name.
  const std::weak_ptr<Scope> home = scope;
  return heap_.callable(name, [this, &s, home, name](const Arguments& arguments) {
    const ScopePtr alive = home.lock();
    if (!alive) fail(fmt::format("the macro \"{}\" was called after the block that defines it", name));
    return call_macro(s, alive, arguments, name);
  });
}

Value Interpreter::call_macro(const Statement& s, const ScopePtr& scope, const Arguments& arguments, const std::string& name) {
  if (macro_depth_ >= kDeepestMacro) fail("macros call each other deeper than 100 levels");
  if (arguments.positional.size() > s.parameters.size())
    fail(fmt::format("macro \"{}\" takes not more than {} arguments", printable(name, 40), s.parameters.size()));
  const auto inner = std::make_shared<Scope>();
  inner->parent = scope;
  for (const auto& [given, value] : arguments.named) {
    bool known = given == "caller";
    for (size_t i = 0; i < s.parameters.size(); ++i) known |= s.parameters[i].name == given && i >= arguments.positional.size();
    if (!known) fail(fmt::format("macro \"{}\" takes no argument \"{}\"", printable(name, 40), printable(given, 40)));
    inner->variables[given] = value;
  }
  for (size_t i = 0; i < s.parameters.size(); ++i) {
    const auto& p = s.parameters[i];
    if (i < arguments.positional.size()) inner->variables[p.name] = arguments.positional[i];
    else if (!inner->variables.contains(p.name))
      inner->variables[p.name] = p.fallback ? evaluate(*p.fallback, inner) : Value::undefined(fmt::format("parameter '{}' was not provided", p.name));
  }
  std::string text;
  ++macro_depth_;
  {
    const Capture capture(*this, text);
    run_body(s.bodies[0], inner);
  }
  --macro_depth_;
  return heap_.text(std::move(text));
}

void Interpreter::run_call_block(const Statement& s, const ScopePtr& scope) {
  const Expression& call = *s.expressions[0];
  Arguments arguments = arguments_of(call, scope);
  arguments.named.emplace_back("caller", make_macro(s, scope, "caller"));
  const Value callee = evaluate(*call.parts[0], scope);
  const auto* c = callee.as<CallableObject*>();
  if (!c) fail(callee.is_undefined() ? callee.why_undefined() : fmt::format("'{}' object is not callable", type_name(callee)));
  write(to_text((*c)->call(arguments)));
}

}  // namespace lorikeet::jinja
