/// Chat templates: our subset of Jinja, as Hugging Face renders them (formats.md 4.8): trim_blocks, lstrip_blocks,
/// loop controls, generation blocks. Untrusted input: size, depth, steps and output are limited; no file access.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/json.h"

namespace lorikeet {

struct TextSpan {
  size_t begin, end;  // bytes of the rendered text
};
struct Rendered {
  std::string text;
  /// Inside {% generation %} blocks, when the template has them.
  std::vector<TextSpan> generation;
};
class ChatTemplate {
 public:
  /// Parses; throws InputError(file, "line N of the chat template", ...) for syntax and for statements, filters, tests
  /// or functions outside the subset (named).
  ChatTemplate(std::string source, std::string file);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  /// `variables`: object with messages, tools, documents, add_generation_prompt, bos_token...; raise_exception(text)
  /// in the template throws InputError carrying that text. `now` feeds strftime_now (seconds since 1970; < 0: real time).
  Rendered render(const Json& variables, double now = -1) const;
  const std::string& source() const { return source_; }

 private:
  struct Program;
  std::string source_, file_;
  std::unique_ptr<Program> program_;
};
using ChatTemplatePtr = std::shared_ptr<const ChatTemplate>;

/// The template of a model folder: chat_template.jinja, else tokenizer_config.json (string or named list: "default"),
/// else chat_template.json. Empty when there is none.
std::string chat_template_of_folder(const std::string& folder);
/// Built-in templates offered for base models without one: "chatml", "alpaca". data.template names them.
std::string builtin_template(std::string_view name);  // throws ConfigError("data.template")
std::vector<std::string> builtin_template_names();

}  // namespace lorikeet
