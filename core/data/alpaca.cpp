// Alpaca: {"instruction","input","output"}, optionally "system" and "history" (pairs of user and assistant); also with
// Dolly's names "context" and "response", and self-instruct's "instances" (several inputs and outputs of an
// instruction).
#include "core/base/text.h"
#include "core/data/formats.h"
#include "core/data/row_fields.h"

namespace lorikeet {
namespace {

Json turn(std::string_view role, std::string content) { return {{"role", role}, {"content", std::move(content)}}; }

// As a chat the user says the instruction, then after a line end the input, when there is one.
std::string question_of(const std::string& instruction, const std::string& input) {
  return trim(input).empty() ? instruction : instruction + "\n" + input;
}

void add_history(const Json& row, Json& messages) {
  if (!member(row, "history")) return;
  if (has_text(row, "history") && trim(text_member(row, "history")).empty()) return;
  for (const Json& pair : list_member(row, "history")) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string())
      refuse_row("\"history\" is no list of [user, assistant] pairs");
    messages.push_back(turn("user", pair[0].get<std::string>()));
    messages.push_back(turn("assistant", pair[1].get<std::string>()));
  }
}

class Alpaca : public DatasetFormat {
 public:
  std::string_view name() const override { return "alpaca"; }
  std::string_view needs() const override { return "\"instruction\" and \"output\""; }
  std::optional<std::string> recognises(const Json& row) const override {
    if (!has_text(row, "instruction")) return std::nullopt;
    if (has_text(row, "output")) return "\"instruction\" and \"output\" keys";
    if (has_text(row, "response")) return "\"instruction\" and \"response\" keys";
    if (has_list(row, "instances")) return "\"instruction\" and \"instances\" keys";
    return std::nullopt;
  }
  std::vector<Sample> read(const Json& row) const override {
    if (!has_text(row, "output") && has_list(row, "instances")) return read_instances(row);
    const std::string_view output = first_text(row, {"output", "response"}),
                           input = first_text(row, {"input", "context"});
    return {sample(row, input.empty() ? "" : text_member(row, input),
                   text_member(row, output.empty() ? "output" : output))};
  }

 private:
  static std::vector<Sample> read_instances(const Json& row) {
    std::vector<Sample> out;
    for (const Json& instance : list_member(row, "instances")) {
      if (!instance.is_object()) refuse_row("\"instances\" holds something that is no object");
      out.push_back(sample(row, optional_text(instance, "input"), text_member(instance, "output")));
    }
    if (out.empty()) refuse_row("\"instances\" is empty");
    return out;
  }
  static Sample sample(const Json& row, const std::string& input, std::string output) {
    Json messages = Json::array();
    if (std::string system = optional_text(row, "system"); !trim(system).empty())
      messages.push_back(turn("system", std::move(system)));
    add_history(row, messages);
    messages.push_back(turn("user", question_of(text_member(row, "instruction"), input)));
    messages.push_back(turn("assistant", std::move(output)));
    return chat_sample(std::move(messages));
  }
};

}  // namespace

const DatasetFormat* alpaca_format() {
  static const Alpaca format;
  return &format;
}

}  // namespace lorikeet
