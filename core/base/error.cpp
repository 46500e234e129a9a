// Texts of input errors: "<file>: <where>: <message>", safe to print on a terminal.
#include "core/base/error.h"

#include "core/base/text.h"

namespace lorikeet {
namespace {

std::string input_text(const std::string& file, const std::string& where, const std::string& message) {
  std::string text;
  if (!file.empty()) text += printable(file, 200) + ": ";
  if (!where.empty()) text += printable(where, 120) + ": ";
  return text + printable(message, 600);
}

}  // namespace

InputError::InputError(const std::string& file, const std::string& where, const std::string& message)
    : Error("input", kExitRefused, input_text(file, where, message), file, where) {}

}  // namespace lorikeet
