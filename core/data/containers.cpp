// Which container a file is, plain text, and what all containers share.
#include "core/data/containers.h"

#include <array>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace lorikeet {
namespace {

std::string head_of(const std::string& path, size_t bytes) {
  ByteSource in(path);
  std::string head;
  while (head.size() < bytes && in.peek() >= 0) head += static_cast<char>(in.next());
  return head;
}

// Kinds of files that are no text, by their first bytes.
std::string known_binary(std::string_view head) {
  struct Magic {
    std::string_view bytes, name;
  };
  static constexpr std::array kMagics = {
      Magic{"\x1f\x8b", "is compressed (gzip); unpack it first"},
      Magic{"PK\x03\x04", "is a zip archive or a spreadsheet; unpack it, or save the sheet as CSV"},
      Magic{"\x28\xb5\x2f\xfd", "is compressed (zstd); unpack it first"},
      Magic{"PAR1", "is a Parquet file, which this version does not read; save the table as JSON Lines or CSV"},
      Magic{"GGUF", "is a model (GGUF), not a data set"},
      Magic{"%PDF", "is a PDF; save its text as .txt"},
  };
  for (const auto& m : kMagics)
    if (head.starts_with(m.bytes)) return std::string(m.name);
  return {};
}

void refuse_what_is_no_text(const std::string& path, std::string_view head) {
  using namespace std::string_view_literals;
  if (head.empty()) throw InputError(path, "", "is empty");
  if (const auto name = known_binary(head); !name.empty()) throw InputError(path, "", name);
  if (head.starts_with("\xff\xfe"sv) || head.starts_with("\xfe\xff"sv))
    throw InputError(path, "byte 0", "is UTF-16 text; save it as UTF-8");
  size_t even = 0, odd = 0;
  for (size_t i = 0; i < head.size(); ++i)
    if (head[i] == '\0') ++(i % 2 == 0 ? even : odd);
  if (even + odd == 0) return;
  if ((even == 0 || odd == 0) && (even + odd) * 4 > head.size())
    throw InputError(path, "byte 0", "is UTF-16 text without a byte order mark; save it as UTF-8");
  const size_t byte = head.find('\0');
  throw InputError(path, fmt::format("byte {}", byte), "has NUL bytes: a binary file, not text");
}

bool parses_as_object(std::string_view text) {
  try {
    return parse_json(text, "").is_object();
  } catch (const InputError&) {
    return false;
  }
}

// '{' begins JSON Lines, one object written over several lines, or several such objects (which are refused).
Container container_of_objects(const std::string& path, uint64_t max_row_bytes) {
  {
    ByteSource in(path);
    in.skip_blanks();
    std::string line;
    if (!in.take_line(line, max_row_bytes) || parses_as_object(trim(line))) return Container::json_lines;
  }
  ByteSource in(path);
  in.skip_blanks();
  const int64_t first = in.line();
  const TakenValue value = take_json_value(in, max_row_bytes);
  const int64_t last = in.line();
  if (last == first || !value.ended || !value.fits || !parses_as_object(value.text)) return Container::json_lines;
  in.skip_blanks();
  if (in.peek() < 0) return Container::json_object;
  throw InputError(
      path, fmt::format("line {}", in.line()),
      fmt::format("holds several JSON values one after another, the first over lines {} to {}; write one object a "
                  "line (JSON Lines) or put them into one list [ , ]",
                  first, last));
}

bool has_ending(const std::string& path, std::initializer_list<std::string_view> endings) {
  const std::string ending = to_lower_ascii(fs::path(path).extension().string());
  for (const auto e : endings)
    if (ending == e) return true;
  return false;
}

}  // namespace

Container container_of(const std::string& path, uint64_t max_row_bytes) {
  const std::string head = head_of(path, 4096);
  refuse_what_is_no_text(path, head);
  if (has_ending(path, {".csv", ".tsv", ".tab"})) return Container::csv;
  const std::string_view begin = trim(head);
  if (begin.empty()) throw InputError(path, "", "holds nothing but blanks");
  if (has_ending(path, {".json", ".jsonl", ".ndjson"})) {
    if (begin[0] == '[') return Container::json_array;
    if (begin[0] == '{') return container_of_objects(path, max_row_bytes);
    // JSON Lines with a bad first line; the rows say what is wrong.
    if (has_ending(path, {".jsonl", ".ndjson"})) return Container::json_lines;
    throw InputError(path, "byte 0",
                     fmt::format("a JSON list or object is expected, found \"{}\"", printable(begin.substr(0, 20))));
  }
  if (begin[0] == '{' && parses_as_object(trim(begin.substr(0, begin.find('\n'))))) return Container::json_lines;
  if (begin[0] == '[') {
    // Text may begin with a bracket; a list of objects is JSON.
    const std::string_view rest = trim(begin.substr(1));
    if (!rest.empty() && rest[0] == '{') return Container::json_array;
  }
  return Container::text;
}

std::string_view container_name(Container c) {
  switch (c) {
    case Container::json_array:
      return "JSON list";
    case Container::json_lines:
      return "JSON Lines";
    case Container::json_object:
      return "JSON object";
    case Container::csv:
      return "CSV";
    case Container::text:
      return "plain text";
  }
  return "";
}

void read_container(const std::string& path, Container container, uint64_t max_row_bytes, const RowSink& sink) {
  ByteSource in(path);
  switch (container) {
    case Container::json_array:
      return read_json_array(in, max_row_bytes, sink);
    case Container::json_lines:
      return read_json_lines(in, max_row_bytes, sink);
    case Container::json_object:
      return read_json_object(in, max_row_bytes, sink);
    case Container::csv:
      return read_csv(in, max_row_bytes, sink);
    case Container::text:
      return read_plain_text(in, max_row_bytes, sink);
  }
}

void read_plain_text(ByteSource& in, uint64_t max_row_bytes, const RowSink& sink) {
  std::string text;
  for (int c = in.next(); c >= 0; c = in.next()) {
    if (text.size() >= max_row_bytes)
      throw InputError(in.path(), "", "the text " + too_long(max_row_bytes) + "; cut it into several files");
    if (c == '\r' && in.peek() == '\n') continue;
    text += static_cast<char>(c);
  }
  if (const auto bad = first_invalid_utf8(text))
    throw InputError(in.path(), fmt::format("byte {}", *bad), not_utf8(text, *bad));
  if (const size_t nul = text.find('\0'); nul != std::string::npos)
    throw InputError(in.path(), fmt::format("byte {}", nul), "has NUL bytes: a binary file, not text");
  if (trim(text).empty()) return;
  RawRow row;
  row.origin = {in.path(), 1};
  row.value = Json::object();
  row.value["text"] = std::move(text);
  sink(std::move(row));
}

std::string too_long(uint64_t max_row_bytes) {
  return fmt::format("is longer than the limit of {}", human_bytes(max_row_bytes));
}

std::string not_utf8(std::string_view text, size_t byte) {
  return fmt::format("not valid UTF-8 (byte {:#04x}); the text looks like Latin-1 or Windows-1252, save it as UTF-8",
                     static_cast<unsigned char>(text[byte]));
}

}  // namespace lorikeet
