// Chat turns of either dialect (OpenAI role/content, ShareGPT from/value) in one form.
#include <array>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/data/row_fields.h"

namespace lorikeet {
namespace {

struct RoleName {
  std::string_view name, role;
};
constexpr std::array kRoles = {
    RoleName{"system", "system"},    RoleName{"developer", "system"},        RoleName{"user", "user"},
    RoleName{"human", "user"},       RoleName{"prompter", "user"},           RoleName{"assistant", "assistant"},
    RoleName{"gpt", "assistant"},    RoleName{"bot", "assistant"},           RoleName{"chatgpt", "assistant"},
    RoleName{"model", "assistant"},  RoleName{"function_call", "assistant"}, RoleName{"tool", "tool"},
    RoleName{"observation", "tool"}, RoleName{"function", "tool"},           RoleName{"ipython", "tool"},
};

std::string_view role_of(std::string_view name, const std::string& place) {
  for (const auto& r : kRoles)
    if (r.name == name) return r.role;
  refuse_row(
      fmt::format("{} has the role \"{}\"; known are system, user, assistant and tool", place, printable(name, 40)));
}

// A text, null, or a list of parts {"type":"text","text":...}.
std::string content_of(const Json* content, const std::string& place) {
  if (!content) return {};
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) refuse_row(fmt::format("{}: the content is neither a text nor a list of parts", place));
  std::string out;
  for (const Json& part : *content) {
    const std::string type = part.is_object() ? optional_text(part, "type") : "";
    if (part.is_string())
      out += part.get<std::string>();
    else if (type == "text" || type == "input_text" || type == "output_text")
      out += text_member(part, "text");
    else
      refuse_row(fmt::format("{} has a part of type \"{}\"; only text can be trained on", place, printable(type, 40)));
  }
  return out;
}

// Templates want arguments as an object; files often hold them as JSON text.
Json parsed_arguments(const Json& arguments) {
  if (!arguments.is_string()) return arguments;
  try {
    Json j = parse_json(arguments.get_ref<const std::string&>(), "");
    if (j.is_object()) return j;
  } catch (const InputError&) {
    // Not JSON: the template prints the text as it is.
  }
  return arguments;
}

Json tool_calls_of(const Json& calls, const std::string& place) {
  if (!calls.is_array()) refuse_row(fmt::format("{}: \"tool_calls\" is no list", place));
  Json out = Json::array();
  for (const Json& call : calls) {
    const Json* function = call.is_object() ? member(call, "function") : nullptr;
    const Json& named = function ? *function : call;
    if (!named.is_object() || !has_text(named, "name")) refuse_row(fmt::format("{}: a tool call has no name", place));
    Json c = call;
    Json f = named;
    if (const Json* arguments = member(named, "arguments")) f["arguments"] = parsed_arguments(*arguments);
    if (function)
      c["function"] = std::move(f);
    else
      c = {{"type", "function"}, {"function", std::move(f)}};
    out.push_back(std::move(c));
  }
  return out;
}

// The value of a ShareGPT "function_call" turn: {"name":..., "arguments":...} or a list of them, as JSON text.
bool take_function_call(Json& m) {
  try {
    Json call = parse_json(m["content"].get_ref<const std::string&>(), "");
    if (call.is_object()) call = Json::array({std::move(call)});
    m["tool_calls"] = tool_calls_of(call, "");
    m["content"] = "";
    return true;
  } catch (const Error&) {
    return false;  // stays what it is: a text the assistant says
  }
}

// OpenAI "weight": 0 and "train": false both leave a turn out of the loss.
bool is_trained(const Json& turn, const std::string& place) {
  if (const Json* train = member(turn, "train")) {
    if (!train->is_boolean()) refuse_row(fmt::format("{}: \"train\" is neither true nor false", place));
    if (!train->get<bool>()) return false;
  }
  if (const Json* weight = member(turn, "weight")) {
    if (!weight->is_number() || (weight->get<double>() != 0 && weight->get<double>() != 1))
      refuse_row(fmt::format("{}: \"weight\" must be 0 or 1", place));
    if (weight->get<double>() == 0) return false;
  }
  return true;
}

Json message_of(const Json& turn, const std::string& place) {
  if (!turn.is_object()) refuse_row(fmt::format("{} is no object", place));
  const std::string_view role_key = first_text(turn, {"role", "from"});
  if (role_key.empty()) refuse_row(fmt::format("{} has no \"role\"", place));
  const std::string given = text_member(turn, role_key);
  const Json* content = member(turn, "content");
  const bool with_value = !content && member(turn, "value");
  if (with_value) content = member(turn, "value");
  const Json* calls = member(turn, "tool_calls");
  const bool has_calls = calls && calls->is_array() && !calls->empty();
  if (!content && !has_calls)
    refuse_row(fmt::format("{} has no \"{}\"", place, role_key == "from" ? "value" : "content"));

  Json m = Json::object();
  m["role"] = role_of(given, place);
  m["content"] = content_of(content, place);
  if (has_calls)
    m["tool_calls"] = tool_calls_of(*calls, place);
  else if (given == "function_call")
    take_function_call(m);
  for (const auto& [key, value] : turn.items())
    if (key != role_key && key != "content" && key != "tool_calls" && key != "train" && key != "weight" &&
        !value.is_null() && !(with_value && key == "value"))
      m[key] = value;  // name, tool_call_id, reasoning_content...: what a template may ask for
  if (!is_trained(turn, place)) m["train"] = false;
  return m;
}

}  // namespace

Json messages_of(const Json& list, std::string_view column) {
  if (!list.is_array()) refuse_row(fmt::format("\"{}\" is no list of messages", column));
  if (list.empty()) refuse_row(fmt::format("\"{}\" is empty", column));
  Json out = Json::array();
  for (size_t i = 0; i < list.size(); ++i) out.push_back(message_of(list[i], fmt::format("{}[{}]", column, i)));
  return out;
}

}  // namespace lorikeet
