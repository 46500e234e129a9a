#include "core/text/chat_template.h"

#include <filesystem>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/text/jinja_interpreter.h"

namespace lorikeet {
namespace {

constexpr size_t kLongestSource = 256 * 1024;

[[noreturn]] void refuse(const std::string& file, const jinja::TemplateError& e) {
  throw InputError(file, e.line > 0 ? fmt::format("line {} of the chat template", e.line) : "the chat template", e.message);
}

}  // namespace

struct ChatTemplate::Program {
  jinja::Body body;
};

ChatTemplate::ChatTemplate(std::string source, std::string file)
    : source_(std::move(source)), file_(std::move(file)), program_(std::make_unique<Program>()) {
  if (source_.size() > kLongestSource)
    throw InputError(file_, "the chat template", fmt::format("it has {} bytes; at most {} are read", source_.size(), kLongestSource));
  if (const auto bad = first_invalid_utf8(source_)) throw InputError(file_, fmt::format("byte {} of the chat template", *bad), "not valid UTF-8");
  try {
    program_->body = jinja::parse_template(source_);
  } catch (const jinja::TemplateError& e) {
    refuse(file_, e);
  }
}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;

Rendered ChatTemplate::render(const Json& variables, double now) const {
  try {
    jinja::Interpreter interpreter(variables, now);
    return interpreter.run(program_->body);
  } catch (const jinja::TemplateError& e) {
    refuse(file_, e);
  } catch (const jinja::RaisedByTemplate& e) {
    throw InputError(file_, "the chat template", "it refuses these messages: " + printable(e.text, 2000));
  }
}

std::string chat_template_of_folder(const std::string& folder) {
  const auto path = [&](const char* name) { return (fs::path(folder) / name).string(); };
  const auto exists = [&](const char* name) {
    std::error_code ignored;
    return fs::is_regular_file(path(name), ignored);
  };
  if (exists("chat_template.jinja")) return read_file(path("chat_template.jinja"), kLongestSource);
  for (const char* name : {"tokenizer_config.json", "chat_template.json"}) {
    if (!exists(name)) continue;
    const Json j = read_json_file(path(name));
    const auto it = j.is_object() ? j.find("chat_template") : j.end();
    if (!j.is_object() || it == j.end() || it->is_null()) continue;
    if (it->is_string()) return it->get<std::string>();
    // A list of {name, template}: "default" is the one for chat without tools.
    std::string first;
    if (it->is_array()) {
      for (const Json& entry : *it) {
        if (!entry.is_object() || !entry.contains("template") || !entry["template"].is_string()) continue;
        if (first.empty()) first = entry["template"].get<std::string>();
        if (entry.contains("name") && entry["name"] == "default") return entry["template"].get<std::string>();
      }
    }
    if (!first.empty()) return first;
    throw InputError(path(name), "field chat_template", "a string or a list of {\"name\", \"template\"} was expected");
  }
  return {};
}

}  // namespace lorikeet
