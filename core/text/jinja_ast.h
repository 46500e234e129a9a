/// The parsed template: statements and expressions, each with its line.
#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/text/jinja_value.h"

namespace lorikeet::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;
enum class ExpressionKind {
  constant, name, list, tuple, dict,        // parts: items; of dict: key, value, key, value ...
  attribute,                                // parts: object; text: name
  subscript, slice,                         // parts: object, key; slice: start, stop, step (may be null)
  call,                                     // parts: callee, positional ...; named
  filter, test,                             // text: name; parts: value, positional ...; named; `negated`
  negate, positive, logical_not,            // parts: operand
  logical_and, logical_or, conditional,     // parts: a, b; conditional: value, condition, other (may be null)
  binary,                                   // text: + - * / // % ** ~
  compare,                                  // parts: first, others ...; operators
};
struct Expression {
  ExpressionKind kind;
  int line = 0;
  int height = 1;  // of the tree below: bounded, since evaluation recurses
  std::string text;
  Value constant;
  std::vector<ExpressionPtr> parts;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  std::vector<std::string> operators;
  bool negated = false;
};

struct Statement;
using StatementPtr = std::unique_ptr<Statement>;
using Body = std::vector<StatementPtr>;
enum class StatementKind { text, print, branch, loop, assign, assign_block, macro, call_block, filter_block, with, generation, break_loop, continue_loop };
struct MacroParameter {
  std::string name;
  ExpressionPtr fallback;
};
struct Statement {
  StatementKind kind;
  int line = 0;
  std::string text;                    // text; name of the macro
  std::vector<ExpressionPtr> expressions;  // print: value; branch: conditions; loop: iterable, filter (may be null); assign: value;
                                           // filter_block, assign_block: the filter chain on an empty name (may be null); call_block: call; with: values
  std::vector<std::string> targets;    // loop, assign, with: names; assign to an attribute: name, attribute
  bool to_attribute = false;
  std::vector<Body> bodies;            // branch: one for each condition, then else; loop: body, else
  std::vector<MacroParameter> parameters;  // macro, call_block
};

/// Throws TemplateError.
Body parse_template(std::string_view source);

}  // namespace lorikeet::jinja
