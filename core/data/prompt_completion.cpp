// Prompt and completion, both texts or both lists of messages; also {"context","target"} and {"prompt","tool_call"}.
// Texts are trained as they stand, without a chat template, on the completion only.
#include <array>

#include <fmt/format.h>

#include "core/data/formats.h"
#include "core/data/row_fields.h"

namespace lorikeet {
namespace {

struct Columns {
  std::string_view prompt, completion;
};
constexpr std::array kColumns = {Columns{"prompt", "completion"}, Columns{"context", "target"}};

bool has_both(const Json& row, const Columns& c) {
  return (has_text(row, c.prompt) && has_text(row, c.completion)) ||
         (has_list(row, c.prompt) && has_list(row, c.completion));
}

bool has_tool_call(const Json& row) {
  const Json* call = member(row, "tool_call");
  return has_text(row, "prompt") && call && (call->is_object() || call->is_array());
}

Sample completion_sample(std::string prompt, std::string completion) {
  Sample s;
  s.kind = SampleKind::completion;
  s.prompt = std::move(prompt);
  s.completion = std::move(completion);
  return s;
}

// Message lists: the prompt's turns are shown, the completion's are trained.
Sample conversation(const Json& row, const Columns& c) {
  Json messages = messages_of(list_member(row, c.prompt), c.prompt);
  for (Json& m : messages)
    if (m["role"] == "assistant") m["train"] = false;
  for (Json& m : messages_of(list_member(row, c.completion), c.completion)) messages.push_back(std::move(m));
  Sample s = chat_sample(std::move(messages));
  take_tools(row, s);
  return s;
}

class PromptCompletion : public DatasetFormat {
 public:
  std::string_view name() const override { return "prompt_completion"; }
  std::string_view needs() const override { return "\"prompt\" and \"completion\""; }
  std::optional<std::string> recognises(const Json& row) const override {
    for (const auto& c : kColumns)
      if (has_both(row, c)) return fmt::format("\"{}\" and \"{}\" keys", c.prompt, c.completion);
    if (has_tool_call(row)) return "\"prompt\" and \"tool_call\" keys";
    return std::nullopt;
  }
  std::vector<Sample> read(const Json& row) const override {
    for (const auto& c : kColumns) {
      if (!has_both(row, c)) continue;
      const Json *p = member(row, c.prompt), *q = member(row, c.completion);
      if (p->is_string() && q->is_string()) return {completion_sample(p->get<std::string>(), q->get<std::string>())};
      return {conversation(row, c)};
    }
    if (has_tool_call(row))
      return {completion_sample(text_member(row, "prompt"), dump_json(*member(row, "tool_call")))};
    const Columns& c = member(row, "target") ? kColumns[1] : kColumns[0];
    text_member(row, c.prompt);  // these say what is missing
    text_member(row, c.completion);
    refuse_row(
        fmt::format("\"{}\" and \"{}\" are neither both texts nor both lists of messages", c.prompt, c.completion));
  }
};

}  // namespace

const DatasetFormat* prompt_completion_format() {
  static const PromptCompletion format;
  return &format;
}

}  // namespace lorikeet
