#include "core/text/jinja_parser.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/text.h"
#include "core/text/jinja_interpreter.h"

namespace lorikeet::jinja {

void Parser::unexpected(const std::string& wanted) const {
  const Token& t = peek();
  std::string found = printable(t.value, 40);
  if (t.kind == TokenKind::end) found = "the end of the template";
  else if (t.kind == TokenKind::block_end) found = "the end of the tag %}";
  else if (t.kind == TokenKind::variable_end) found = "the end of the tag }}";
  else if (t.kind == TokenKind::string) found = "the string '" + found + "'";
  else found = "\"" + found + "\"";
  error(fmt::format("{} was expected, found {}", wanted, found));
}

void Parser::expect_symbol(std::string_view s) {
  if (!take_symbol(s)) unexpected("\"" + std::string(s) + "\"");
}

void Parser::expect(TokenKind kind, const std::string& wanted) {
  if (!is(kind)) unexpected(wanted);
  next();
}

std::string Parser::expect_name(const std::string& wanted) {
  if (!is(TokenKind::name)) unexpected(wanted);
  return next().value;
}

ExpressionPtr Parser::make(ExpressionKind kind, std::string text) const {
  auto e = std::make_unique<Expression>();
  e->kind = kind;
  e->line = peek().line;
  e->text = std::move(text);
  return e;
}

ExpressionPtr Parser::finish(ExpressionPtr e) const {
  for (const auto& p : e->parts)
    if (p) e->height = std::max(e->height, p->height + 1);
  for (const auto& n : e->named) e->height = std::max(e->height, n.second->height + 1);
  if (e->height > kHighest) error("an expression has more than 400 steps");
  return e;
}

ExpressionPtr Parser::pair(ExpressionKind kind, std::string text, ExpressionPtr a, ExpressionPtr b) const {
  auto e = make(kind, std::move(text));
  e->line = a->line;
  e->parts.push_back(std::move(a));
  e->parts.push_back(std::move(b));
  return finish(std::move(e));
}

// a or a, b, c: the latter is a tuple. What `for` runs over takes no inline condition: its "if" filters.
ExpressionPtr Parser::parse_tuple(bool with_condition) {
  const auto one = [&] { return with_condition ? parse_expression() : parse_or(); };
  ExpressionPtr first = one();
  if (!is_symbol(",")) return first;
  auto tuple = make(ExpressionKind::tuple);
  tuple->parts.push_back(std::move(first));
  while (take_symbol(",")) {
    if (is(TokenKind::block_end) || is(TokenKind::variable_end) || is_symbol(")")) break;
    tuple->parts.push_back(one());
  }
  return finish(std::move(tuple));
}

ExpressionPtr Parser::parse_expression() {
  const Nesting nesting(*this);
  ExpressionPtr value = parse_or();
  while (is_name("if")) {
    auto e = make(ExpressionKind::conditional);
    next();
    e->parts.push_back(std::move(value));
    e->parts.push_back(parse_or());
    e->parts.push_back(take_name("else") ? parse_expression() : nullptr);
    value = finish(std::move(e));
  }
  return value;
}

ExpressionPtr Parser::parse_or() {
  ExpressionPtr left = parse_and();
  while (take_name("or")) left = pair(ExpressionKind::logical_or, "or", std::move(left), parse_and());
  return left;
}

ExpressionPtr Parser::parse_and() {
  ExpressionPtr left = parse_not();
  while (take_name("and")) left = pair(ExpressionKind::logical_and, "and", std::move(left), parse_not());
  return left;
}

ExpressionPtr Parser::parse_not() {
  if (!is_name("not")) return parse_compare();
  const Nesting nesting(*this);
  auto e = make(ExpressionKind::logical_not);
  next();
  e->parts.push_back(parse_not());
  return finish(std::move(e));
}

ExpressionPtr Parser::parse_compare() {
  ExpressionPtr first = parse_sum();
  ExpressionPtr e;
  for (;;) {
    std::string op;
    for (const char* s : {"==", "!=", "<=", ">=", "<", ">"})
      if (is_symbol(s)) op = s;
    if (op.empty() && is_name("in")) op = "in";
    if (op.empty() && is_name("not") && is_name("in", 1)) op = "not in", next();
    if (op.empty()) break;
    next();
    if (!e) {
      e = make(ExpressionKind::compare);
      e->parts.push_back(std::move(first));
    }
    e->operators.push_back(op);
    e->parts.push_back(parse_sum());
  }
  return e ? finish(std::move(e)) : std::move(first);
}

ExpressionPtr Parser::parse_sum() {
  ExpressionPtr left = parse_concat();
  while (is_symbol("+") || is_symbol("-")) {
    const std::string op = next().value;
    left = pair(ExpressionKind::binary, op, std::move(left), parse_concat());
  }
  return left;
}

ExpressionPtr Parser::parse_concat() {
  ExpressionPtr left = parse_product();
  while (take_symbol("~")) left = pair(ExpressionKind::binary, "~", std::move(left), parse_product());
  return left;
}

ExpressionPtr Parser::parse_product() {
  ExpressionPtr left = parse_power();
  while (is_symbol("*") || is_symbol("/") || is_symbol("//") || is_symbol("%")) {
    const std::string op = next().value;
    left = pair(ExpressionKind::binary, op, std::move(left), parse_power());
  }
  return left;
}

// As in Jinja, and not as in Python: -2**2 is (-2)**2, and filters bind tighter than any operator.
ExpressionPtr Parser::parse_power() {
  ExpressionPtr left = parse_unary(true);
  while (take_symbol("**")) left = pair(ExpressionKind::binary, "**", std::move(left), parse_unary(true));
  return left;
}

ExpressionPtr Parser::parse_unary(bool with_filters) {
  const Nesting nesting(*this);
  ExpressionPtr e;
  if (is_symbol("-") || is_symbol("+")) {
    e = make(is_symbol("-") ? ExpressionKind::negate : ExpressionKind::positive);
    next();
    e->parts.push_back(parse_unary(false));
    e = finish(std::move(e));
  } else {
    e = parse_primary();
  }
  e = parse_postfix(std::move(e));
  return with_filters ? parse_filters(std::move(e)) : std::move(e);
}

ExpressionPtr Parser::parse_primary() {
  const Nesting nesting(*this);
  auto e = make(ExpressionKind::constant);
  switch (peek().kind) {
    case TokenKind::name: {
      const std::string name = next().value;
      if (name == "true" || name == "True") e->constant = Value::of(true);
      else if (name == "false" || name == "False") e->constant = Value::of(false);
      else if (name == "none" || name == "None") e->constant = Value::none();
      else e->kind = ExpressionKind::name, e->text = name;
      return e;
    }
    case TokenKind::string: {
      std::string all = next().value;
      while (is(TokenKind::string)) all += next().value;
      e->constant = Value::text(std::move(all));
      return e;
    }
    case TokenKind::integer: {
      const auto v = parse_int(peek().value);
      if (!v) error("the number " + printable(peek().value, 40) + " is too large");
      next();
      e->constant = Value::of(*v);
      return e;
    }
    case TokenKind::real: {
      const auto v = parse_double(next().value);
      if (!v) error("the number is out of range");
      e->constant = Value::of(*v);
      return e;
    }
    default: break;
  }
  if (take_symbol("(")) {
    if (take_symbol(")")) return e->kind = ExpressionKind::tuple, std::move(e);
    e = parse_tuple(true);
    expect_symbol(")");
    return e;
  }
  if (take_symbol("[")) {
    e->kind = ExpressionKind::list;
    while (!is_symbol("]")) {
      if (!e->parts.empty()) expect_symbol(",");
      if (is_symbol("]")) break;
      e->parts.push_back(parse_expression());
    }
    expect_symbol("]");
    return finish(std::move(e));
  }
  if (is_symbol("{")) return parse_dict();
  unexpected("an expression");
}

ExpressionPtr Parser::parse_dict() {
  auto e = make(ExpressionKind::dict);
  expect_symbol("{");
  while (!is_symbol("}")) {
    if (!e->parts.empty()) expect_symbol(",");
    if (is_symbol("}")) break;
    e->parts.push_back(parse_expression());
    expect_symbol(":");
    e->parts.push_back(parse_expression());
  }
  expect_symbol("}");
  return finish(std::move(e));
}

ExpressionPtr Parser::parse_postfix(ExpressionPtr e) {
  for (;;) {
    if (is_symbol(".")) {
      auto a = make(ExpressionKind::attribute);
      next();
      if (is(TokenKind::integer)) {  // x.0 is x[0]
        auto key = make(ExpressionKind::constant);
        key->constant = Value::of(parse_int(next().value).value_or(0));
        e = pair(ExpressionKind::subscript, "", std::move(e), std::move(key));
        continue;
      }
      a->text = expect_name("the name of an attribute");
      a->parts.push_back(std::move(e));
      e = finish(std::move(a));
    } else if (is_symbol("[")) {
      e = parse_subscript(std::move(e));
    } else if (is_symbol("(")) {
      auto call = make(ExpressionKind::call);
      call->parts.push_back(std::move(e));
      parse_arguments(*call);
      e = finish(std::move(call));
    } else {
      return e;
    }
  }
}

ExpressionPtr Parser::parse_subscript_key() {
  if (!is_symbol(":")) {
    ExpressionPtr first = parse_expression();
    if (!is_symbol(":")) return first;
    auto slice = make(ExpressionKind::slice);
    slice->parts.push_back(std::move(first));
    next();
    slice->parts.push_back(is_symbol(":") || is_symbol("]") ? nullptr : parse_expression());
    slice->parts.push_back(take_symbol(":") && !is_symbol("]") ? parse_expression() : nullptr);
    return finish(std::move(slice));
  }
  auto slice = make(ExpressionKind::slice);
  next();
  slice->parts.push_back(nullptr);
  slice->parts.push_back(is_symbol(":") || is_symbol("]") ? nullptr : parse_expression());
  slice->parts.push_back(take_symbol(":") && !is_symbol("]") ? parse_expression() : nullptr);
  return finish(std::move(slice));
}

ExpressionPtr Parser::parse_subscript(ExpressionPtr object) {
  const Nesting nesting(*this);
  expect_symbol("[");
  ExpressionPtr key = parse_subscript_key();
  if (is_symbol(",")) error("a subscript of several values is not supported");
  expect_symbol("]");
  return pair(ExpressionKind::subscript, "", std::move(object), std::move(key));
}

void Parser::parse_arguments(Expression& call) {
  const Nesting nesting(*this);
  expect_symbol("(");
  bool first = true;
  while (!is_symbol(")")) {
    if (!first) expect_symbol(",");
    if (is_symbol(")")) break;
    first = false;
    if (is_symbol("*") || is_symbol("**")) error("arguments spread by * or ** are not supported");
    if (is(TokenKind::name) && is_symbol("=", 1)) {
      std::string name = next().value;
      next();
      call.named.emplace_back(std::move(name), parse_expression());
    } else {
      if (!call.named.empty()) error("a positional argument follows a named one");
      call.parts.push_back(parse_expression());
    }
  }
  expect_symbol(")");
}

ExpressionPtr Parser::parse_filters(ExpressionPtr e) {
  for (;;) {
    if (is_symbol("|")) e = parse_filter_chain(std::move(e), false);
    else if (is_name("is")) e = parse_test(std::move(e));
    else if (is_symbol("(")) e = parse_postfix(std::move(e));
    else return e;
  }
}

// `first_named`: the first filter stands without its bar ({% filter upper %}).
ExpressionPtr Parser::parse_filter_chain(ExpressionPtr e, bool first_named) {
  while (first_named || is_symbol("|")) {
    if (!first_named) next();
    first_named = false;
    auto f = make(ExpressionKind::filter);
    f->text = expect_name("the name of a filter");
    if (!is_known_filter(f->text)) throw TemplateError{f->line, fmt::format("the filter \"{}\" is not supported", printable(f->text, 40))};
    f->parts.push_back(std::move(e));
    if (is_symbol("(")) parse_arguments(*f);
    e = finish(std::move(f));
  }
  return e;
}

ExpressionPtr Parser::parse_test(ExpressionPtr e) {
  auto t = make(ExpressionKind::test);
  next();
  t->negated = take_name("not");
  t->text = is_symbol("==") || is_symbol("!=") || is_symbol("<") || is_symbol(">") || is_symbol("<=") || is_symbol(">=") ? next().value : expect_name("the name of a test");
  if (!is_known_test(t->text)) throw TemplateError{t->line, fmt::format("the test \"{}\" is not supported", printable(t->text, 40))};
  t->parts.push_back(std::move(e));
  const TokenKind k = peek().kind;
  const bool keyword = is_name("else") || is_name("or") || is_name("and") || is_name("if") || is_name("is") || is_name("in") || is_name("not");
  if (is_symbol("(")) {
    parse_arguments(*t);
  } else if ((k == TokenKind::name && !keyword) || k == TokenKind::string || k == TokenKind::integer || k == TokenKind::real || is_symbol("[") || is_symbol("{")) {
    t->parts.push_back(parse_postfix(parse_primary()));  // "x is divisibleby 3"
  }
  return finish(std::move(t));
}

}  // namespace lorikeet::jinja
