/// Reading members of a row: wrong types become reasons (RunError) that name the column.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "core/base/json.h"
#include "core/data/dataset.h"

namespace lorikeet {

/// The member, or null when absent or JSON null.
const Json* member(const Json& row, std::string_view name);
bool has_text(const Json& row, std::string_view name);
/// A list, or a text that begins like one (CSV cells hold lists as JSON text).
bool has_list(const Json& row, std::string_view name);
std::string text_member(const Json& row, std::string_view name);
/// Empty when the member is absent.
std::string optional_text(const Json& row, std::string_view name);
/// The list itself; a text is parsed first.
Json list_member(const Json& row, std::string_view name);
/// The first of the names that the row has as text, or empty.
std::string_view first_text(const Json& row, std::initializer_list<std::string_view> names);
[[noreturn]] void refuse_row(const std::string& reason);

/// Chat messages in the one form the rest of the program knows: role system, user, assistant or tool; content a text;
/// tool_calls with parsed arguments; "train": false where a turn is not trained. Takes OpenAI messages and ShareGPT
/// turns.
Json messages_of(const Json& list, std::string_view column);
Sample chat_sample(Json messages);
/// Adds the row's tools, a list or a text that holds one.
void take_tools(const Json& row, Sample& sample);

}  // namespace lorikeet
