/// Recursive descent over the tokens of a template; expressions here, statements in jinja_statements.cpp.
#pragma once
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/jinja_ast.h"
#include "core/text/jinja_lexer.h"

namespace lorikeet::jinja {

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}
  Body parse();

 private:
  static constexpr int kDeepest = 100;  // nesting of brackets and blocks
  static constexpr int kHighest = 400;  // of one expression tree: long chains of + and |

  class Nesting {
   public:
    explicit Nesting(Parser& p) : p_(p) {
      if (++p_.depth_ > kDeepest) p_.error("nested deeper than 100 levels");
    }
    ~Nesting() { --p_.depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    Parser& p_;
  };

  [[noreturn]] void error(const std::string& message) const { throw TemplateError{peek().line, message}; }
  [[noreturn]] void unexpected(const std::string& wanted) const;
  const Token& peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  const Token& next() { return tokens_[at_ < tokens_.size() - 1 ? at_++ : at_]; }
  bool is(TokenKind kind) const { return peek().kind == kind; }
  bool is_symbol(std::string_view s, size_t ahead = 0) const { return peek(ahead).kind == TokenKind::symbol && peek(ahead).value == s; }
  bool is_name(std::string_view s, size_t ahead = 0) const { return peek(ahead).kind == TokenKind::name && peek(ahead).value == s; }
  bool take_symbol(std::string_view s) { return is_symbol(s) && (next(), true); }
  bool take_name(std::string_view s) { return is_name(s) && (next(), true); }
  void expect_symbol(std::string_view s);
  void expect(TokenKind kind, const std::string& wanted);
  std::string expect_name(const std::string& wanted);

  // Expressions, weakest binding first.
  ExpressionPtr make(ExpressionKind kind, std::string text = {}) const;
  ExpressionPtr finish(ExpressionPtr e) const;  // sets the height
  ExpressionPtr pair(ExpressionKind kind, std::string text, ExpressionPtr a, ExpressionPtr b) const;
  ExpressionPtr parse_tuple(bool with_condition);
  ExpressionPtr parse_expression();  // with inline if
  ExpressionPtr parse_or();
  ExpressionPtr parse_and();
  ExpressionPtr parse_not();
  ExpressionPtr parse_compare();
  ExpressionPtr parse_sum();
  ExpressionPtr parse_concat();
  ExpressionPtr parse_product();
  ExpressionPtr parse_unary(bool with_filters);
  ExpressionPtr parse_power();
  ExpressionPtr parse_primary();
  ExpressionPtr parse_postfix(ExpressionPtr e);
  ExpressionPtr parse_filters(ExpressionPtr e);
  ExpressionPtr parse_filter_chain(ExpressionPtr e, bool first_named);
  ExpressionPtr parse_test(ExpressionPtr e);
  ExpressionPtr parse_subscript(ExpressionPtr object);
  ExpressionPtr parse_subscript_key();
  ExpressionPtr parse_dict();
  void parse_arguments(Expression& call);

  // Statements.
  Body parse_body(const std::vector<std::string>& ends);
  StatementPtr make_statement(StatementKind kind) const;
  StatementPtr parse_statement();
  StatementPtr parse_branch();
  StatementPtr parse_loop();
  StatementPtr parse_assign();
  StatementPtr parse_macro();
  StatementPtr parse_call_block();
  StatementPtr parse_filter_block();
  StatementPtr parse_with();
  StatementPtr parse_generation();
  std::vector<std::string> parse_targets();
  void parse_parameters(Statement& s);
  void end_tag(const std::string& name);

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
  int loops_ = 0;  // break and continue are allowed inside
};

}  // namespace lorikeet::jinja
