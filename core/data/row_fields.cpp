// Members of rows, checked.
#include "core/data/row_fields.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"

namespace lorikeet {
namespace {

std::string_view kind_of(const Json& v) {
  if (v.is_object()) return "an object";
  if (v.is_array()) return "a list";
  if (v.is_string()) return "a text";
  return v.is_boolean() ? "true or false" : "a number";
}

Json parsed(std::string_view text, std::string_view name) {
  try {
    return parse_json(text, "");
  } catch (const InputError& e) {
    refuse_row(fmt::format("\"{}\" holds JSON that cannot be read: {}", name, e.what()));
  }
}

}  // namespace

void refuse_row(const std::string& reason) { throw RunError(printable(reason, 400)); }

const Json* member(const Json& row, std::string_view name) {
  const auto it = row.find(name);
  return it == row.end() || it->is_null() ? nullptr : &*it;
}

bool has_text(const Json& row, std::string_view name) {
  const Json* m = member(row, name);
  return m && m->is_string();
}

bool has_list(const Json& row, std::string_view name) {
  const Json* m = member(row, name);
  if (!m) return false;
  return m->is_array() || (m->is_string() && trim(m->get_ref<const std::string&>()).starts_with('['));
}

std::string text_member(const Json& row, std::string_view name) {
  const Json* m = member(row, name);
  if (!m) refuse_row(fmt::format("has no \"{}\"", name));
  if (!m->is_string()) refuse_row(fmt::format("\"{}\" is no text but {}", name, kind_of(*m)));
  return m->get<std::string>();
}

std::string optional_text(const Json& row, std::string_view name) {
  return member(row, name) ? text_member(row, name) : std::string();
}

Json list_member(const Json& row, std::string_view name) {
  const Json* m = member(row, name);
  if (!m) refuse_row(fmt::format("has no \"{}\"", name));
  if (m->is_array()) return *m;
  if (!m->is_string()) refuse_row(fmt::format("\"{}\" is no list but {}", name, kind_of(*m)));
  Json list = parsed(m->get_ref<const std::string&>(), name);
  if (!list.is_array()) refuse_row(fmt::format("\"{}\" is no list but {}", name, kind_of(list)));
  return list;
}

std::string_view first_text(const Json& row, std::initializer_list<std::string_view> names) {
  for (const auto n : names)
    if (has_text(row, n)) return n;
  return {};
}

Sample chat_sample(Json messages) {
  Sample s;
  s.kind = SampleKind::chat;
  s.messages = std::move(messages);
  return s;
}

void take_tools(const Json& row, Sample& sample) {
  const Json* tools = member(row, "tools");
  if (!tools || (tools->is_string() && trim(tools->get_ref<const std::string&>()).empty())) return;
  Json list = list_member(row, "tools");
  if (!list.empty()) sample.tools = std::move(list);
}

}  // namespace lorikeet
