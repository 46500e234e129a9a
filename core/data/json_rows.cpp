// JSON containers: lines, one list, one object. Values are cut out by following brackets, then parsed one at a time, so
// that one bad row costs one row.
#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/data/containers.h"

namespace lorikeet {
namespace {

std::string_view kind_of(const Json& v) {
  if (v.is_array()) return "a list";
  if (v.is_string()) return "a text";
  if (v.is_null()) return "null";
  return v.is_boolean() ? "true or false" : "a number";
}

// True when a whole JSON value is followed by the beginning of another one.
bool holds_several_values(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
      continue;
    }
    if (c == '"')
      in_string = true;
    else if (c == '{' || c == '[')
      ++depth;
    else if ((c == '}' || c == ']') && --depth == 0) {
      const std::string_view rest = trim(text.substr(i + 1));
      return !rest.empty() && (rest[0] == '{' || rest[0] == '[');
    }
  }
  return false;
}

[[noreturn]] void refuse(const ByteSource& in, const std::string& message) {
  throw InputError(in.path(), fmt::format("line {}", in.line()), message);
}

std::string shown(int c) {
  return c < 0 ? "the end of the file" : fmt::format("\"{}\"", printable(std::string(1, static_cast<char>(c))));
}

}  // namespace

TakenValue take_json_value(ByteSource& in, uint64_t max_bytes) {
  TakenValue out;
  int depth = 0;
  bool in_string = false, escaped = false;
  for (int c = in.peek(); c >= 0; c = in.peek()) {
    const bool separator = c == ',' || c == ']' || c == '}' || c == ' ' || c == '\n' || c == '\r' || c == '\t';
    if (depth == 0 && !in_string && separator && !out.text.empty()) {
      out.ended = true;  // after a number or a word
      return out;
    }
    in.next();
    if (out.text.size() < max_bytes)
      out.text += static_cast<char>(c);
    else
      out.fits = false;
    if (in_string) {
      if (escaped)
        escaped = false;
      else if (c == '\\')
        escaped = true;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      --depth;
    }
    if (depth <= 0 && !in_string && (c == '}' || c == ']' || c == '"')) {
      out.ended = true;
      return out;
    }
  }
  out.ended = depth == 0 && !in_string && !out.text.empty();
  return out;
}

RawRow row_of_json(std::string_view text, SampleOrigin origin) {
  RawRow row{std::move(origin), nullptr, {}};
  if (const auto bad = first_invalid_utf8(text)) {
    row.problem = not_utf8(text, *bad);
    return row;
  }
  try {
    row.value = parse_json(text, "");
    if (!row.value.is_object()) {
      row.problem = fmt::format("a row must be a JSON object, found {}", kind_of(row.value));
      row.value = nullptr;
    }
  } catch (const InputError& e) {
    row.problem =
        holds_several_values(text) ? "holds several JSON values on one line; write one object a line" : e.what();
  }
  return row;
}

void read_json_lines(ByteSource& in, uint64_t max_row_bytes, const RowSink& sink) {
  std::string line;
  while (in.peek() >= 0) {
    SampleOrigin origin{in.path(), in.line()};
    const bool fits = in.take_line(line, max_row_bytes);
    const std::string_view text = trim(line);
    if (text.empty()) continue;
    RawRow row = fits ? row_of_json(text, std::move(origin))
                      : RawRow{std::move(origin), nullptr, "the line " + too_long(max_row_bytes)};
    if (!sink(std::move(row))) return;
  }
}

void read_json_array(ByteSource& in, uint64_t max_row_bytes, const RowSink& sink) {
  in.skip_blanks();
  in.next();  // '['
  in.skip_blanks();
  bool more = in.peek() != ']';
  if (!more) in.next();
  for (int64_t element = 1; more; ++element) {
    in.skip_blanks();
    const int64_t line = in.line();
    if (const int c = in.peek(); c < 0 || c == ',' || c == ']' || c == '}')
      refuse(in, fmt::format("element {} of the list is expected, found {}", element, shown(c)));
    const TakenValue value = take_json_value(in, max_row_bytes);
    if (!value.ended)
      throw InputError(
          in.path(), fmt::format("line {}", line),
          fmt::format("element {} of the list does not end; the file is cut off or a bracket or quote is missing",
                      element));
    SampleOrigin origin{in.path(), element, true};
    RawRow row = value.fits ? row_of_json(value.text, std::move(origin))
                            : RawRow{std::move(origin), nullptr, "the element " + too_long(max_row_bytes)};
    if (!row.problem.empty()) row.problem = fmt::format("at line {}: {}", line, row.problem);
    if (!sink(std::move(row))) return;
    in.skip_blanks();
    const int c = in.next();
    if (c != ',' && c != ']')
      refuse(in, fmt::format("\",\" or \"]\" is expected after element {} of the list, found {}", element, shown(c)));
    more = c == ',';
  }
  in.skip_blanks();
  if (in.peek() >= 0)
    refuse(in, fmt::format("the list has ended, but {} follows; a file holds one list", shown(in.peek())));
}

void read_json_object(ByteSource& in, uint64_t max_row_bytes, const RowSink& sink) {
  in.skip_blanks();
  SampleOrigin origin{in.path(), in.line()};
  sink(row_of_json(take_json_value(in, max_row_bytes).text, std::move(origin)));
}

}  // namespace lorikeet
