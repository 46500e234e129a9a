/// Cuts a template into text, tags and their tokens, with trim_blocks and lstrip_blocks on and the white space rules of
/// Jinja 3: "-" strips, "+" keeps, the newline after a block goes, blanks before a block at line start go.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace lorikeet::jinja {

enum class TokenKind { text, block_begin, block_end, variable_begin, variable_end, name, integer, real, string, symbol, end };
struct Token {
  TokenKind kind;
  std::string value;  // text, name, decoded string, digits, or the symbol
  int line;           // from 1
};
/// Throws TemplateError.
std::vector<Token> tokenize(std::string_view source);

}  // namespace lorikeet::jinja
