// The statements of the template language; what Jinja has beyond this list is refused by name.
#include <algorithm>

#include <fmt/format.h>

#include "core/base/text.h"
#include "core/text/jinja_parser.h"

namespace lorikeet::jinja {

Body parse_template(std::string_view source) { return Parser(tokenize(source)).parse(); }

Body Parser::parse() {
  Body body = parse_body({});
  if (!is(TokenKind::end)) unexpected("the end of the template");
  return body;
}

StatementPtr Parser::make_statement(StatementKind kind) const {
  auto s = std::make_unique<Statement>();
  s->kind = kind;
  s->line = peek().line;
  return s;
}

// Stops before the tag whose name is in `ends` ("{%" is taken, the name is not).
Body Parser::parse_body(const std::vector<std::string>& ends) {
  const Nesting nesting(*this);
  Body body;
  for (;;) {
    if (is(TokenKind::text)) {
      auto s = make_statement(StatementKind::text);
      s->text = next().value;
      body.push_back(std::move(s));
    } else if (is(TokenKind::variable_begin)) {
      auto s = make_statement(StatementKind::print);
      next();
      s->expressions.push_back(parse_tuple(true));
      expect(TokenKind::variable_end, "\"}}\"");
      body.push_back(std::move(s));
    } else if (is(TokenKind::block_begin)) {
      next();
      if (std::any_of(ends.begin(), ends.end(), [&](const std::string& e) { return is_name(e); })) return body;
      if (auto s = parse_statement()) body.push_back(std::move(s));
    } else {
      if (!ends.empty()) unexpected("{% " + ends.back() + " %}");
      return body;
    }
  }
}

void Parser::end_tag(const std::string& name) {
  if (!take_name(name)) unexpected(name);
  expect(TokenKind::block_end, "\"%}\"");
}

StatementPtr Parser::parse_statement() {
  const std::string name = is(TokenKind::name) ? peek().value : "";
  if (name == "if") return parse_branch();
  if (name == "for") return parse_loop();
  if (name == "set") return parse_assign();
  if (name == "macro") return parse_macro();
  if (name == "call") return parse_call_block();
  if (name == "filter") return parse_filter_block();
  if (name == "with") return parse_with();
  if (name == "generation") return parse_generation();
  if (name == "break" || name == "continue") {
    if (loops_ == 0) error(name + " stands outside of a loop");
    auto s = make_statement(name == "break" ? StatementKind::break_loop : StatementKind::continue_loop);
    next();
    expect(TokenKind::block_end, "\"%}\"");
    return s;
  }
  if (name.empty()) unexpected("the name of a statement");
  static const std::vector<std::string> kClosing = {"elif", "else", "endif", "endfor", "endset", "endmacro", "endcall", "endfilter", "endwith", "endgeneration"};
  if (std::find(kClosing.begin(), kClosing.end(), name) != kClosing.end()) error("{% " + name + " %} closes nothing that is open here");
  error(fmt::format("the statement \"{}\" is not supported", printable(name, 40)));
}

StatementPtr Parser::parse_branch() {
  auto s = make_statement(StatementKind::branch);
  for (;;) {
    next();  // if, elif
    s->expressions.push_back(parse_tuple(true));
    expect(TokenKind::block_end, "\"%}\"");
    s->bodies.push_back(parse_body({"elif", "else", "endif"}));
    if (!is_name("elif")) break;
  }
  if (take_name("else")) {
    expect(TokenKind::block_end, "\"%}\"");
    s->bodies.push_back(parse_body({"endif"}));
  }
  end_tag("endif");
  return s;
}

std::vector<std::string> Parser::parse_targets() {
  std::vector<std::string> names;
  const bool bracket = take_symbol("(");
  do {
    if (bracket && is_symbol(")")) break;
    names.push_back(expect_name("the name of a variable"));
    if (names.size() > 32) error("more than 32 targets");
  } while (take_symbol(","));
  if (bracket) expect_symbol(")");
  for (const auto& n : names)
    if (n == "loop" || n == "true" || n == "false" || n == "none" || n == "True" || n == "False" || n == "None" || n == "not")
      error("\"" + n + "\" cannot be assigned to");
  return names;
}

StatementPtr Parser::parse_loop() {
  auto s = make_statement(StatementKind::loop);
  next();
  s->targets = parse_targets();
  if (!take_name("in")) unexpected("\"in\"");
  s->expressions.push_back(parse_tuple(false));
  s->expressions.push_back(take_name("if") ? parse_expression() : nullptr);
  if (is_name("recursive")) error("recursive loops are not supported");
  expect(TokenKind::block_end, "\"%}\"");
  ++loops_;
  s->bodies.push_back(parse_body({"else", "endfor"}));
  --loops_;
  if (take_name("else")) {
    expect(TokenKind::block_end, "\"%}\"");
    s->bodies.push_back(parse_body({"endfor"}));
  }
  end_tag("endfor");
  return s;
}

StatementPtr Parser::parse_assign() {
  auto s = make_statement(StatementKind::assign);
  next();
  if (is(TokenKind::name) && is_symbol(".", 1)) {
    s->targets.push_back(next().value);
    next();
    s->targets.push_back(expect_name("the name of an attribute"));
    s->to_attribute = true;
  } else {
    s->targets = parse_targets();
  }
  if (take_symbol("=")) {
    s->expressions.push_back(parse_tuple(true));
    expect(TokenKind::block_end, "\"%}\"");
    return s;
  }
  if (s->targets.size() != 1 && !s->to_attribute) unexpected("\"=\"");
  s->kind = StatementKind::assign_block;
  s->expressions.push_back(is_symbol("|") ? parse_filter_chain(make(ExpressionKind::name, ""), false) : nullptr);
  expect(TokenKind::block_end, "\"%}\"");
  s->bodies.push_back(parse_body({"endset"}));
  end_tag("endset");
  return s;
}

void Parser::parse_parameters(Statement& s) {
  expect_symbol("(");
  while (!is_symbol(")")) {
    if (!s.parameters.empty()) expect_symbol(",");
    if (is_symbol(")")) break;
    MacroParameter p;
    p.name = expect_name("the name of a parameter");
    if (take_symbol("=")) p.fallback = parse_expression();
    else if (!s.parameters.empty() && s.parameters.back().fallback) error("a parameter without a default follows one with a default");
    s.parameters.push_back(std::move(p));
  }
  expect_symbol(")");
}

StatementPtr Parser::parse_macro() {
  auto s = make_statement(StatementKind::macro);
  next();
  s->text = expect_name("the name of the macro");
  parse_parameters(*s);
  expect(TokenKind::block_end, "\"%}\"");
  const int loops = std::exchange(loops_, 0);
  s->bodies.push_back(parse_body({"endmacro"}));
  loops_ = loops;
  end_tag("endmacro");
  return s;
}

StatementPtr Parser::parse_call_block() {
  auto s = make_statement(StatementKind::call_block);
  next();
  if (is_symbol("(")) parse_parameters(*s);
  s->expressions.push_back(parse_expression());
  if (s->expressions[0]->kind != ExpressionKind::call) error("{% call %} needs the call of a macro");
  expect(TokenKind::block_end, "\"%}\"");
  const int loops = std::exchange(loops_, 0);
  s->bodies.push_back(parse_body({"endcall"}));
  loops_ = loops;
  end_tag("endcall");
  return s;
}

StatementPtr Parser::parse_filter_block() {
  auto s = make_statement(StatementKind::filter_block);
  next();
  s->expressions.push_back(parse_filter_chain(make(ExpressionKind::name, ""), true));
  expect(TokenKind::block_end, "\"%}\"");
  s->bodies.push_back(parse_body({"endfilter"}));
  end_tag("endfilter");
  return s;
}

StatementPtr Parser::parse_with() {
  auto s = make_statement(StatementKind::with);
  next();
  while (!is(TokenKind::block_end)) {
    if (!s->targets.empty()) expect_symbol(",");
    s->targets.push_back(expect_name("the name of a variable"));
    expect_symbol("=");
    s->expressions.push_back(parse_expression());
  }
  next();
  s->bodies.push_back(parse_body({"endwith"}));
  end_tag("endwith");
  return s;
}

StatementPtr Parser::parse_generation() {
  auto s = make_statement(StatementKind::generation);
  next();
  expect(TokenKind::block_end, "\"%}\"");
  s->bodies.push_back(parse_body({"endgeneration"}));
  end_tag("endgeneration");
  return s;
}

}  // namespace lorikeet::jinja
