// CSV and its kin (RFC 4180, with what spreadsheets write): the separator is found in the header, quotes may hold line
// ends, header names are cleaned of blanks and stray carriage returns.
#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/data/containers.h"

namespace lorikeet {
namespace {

enum class End { row, file, endless_quote, too_long };

// One record: fields up to a line end outside quotes.
End take_record(ByteSource& in, char separator, uint64_t max_bytes, std::vector<std::string>& fields) {
  fields.assign(1, "");
  uint64_t bytes = 0;
  bool quoted = false, fits = true;
  if (in.peek() < 0) return End::file;
  for (int c = in.next();; c = in.next()) {
    if (c < 0) return quoted ? End::endless_quote : fits ? End::row : End::too_long;
    fits = fits && ++bytes <= max_bytes;
    if (!fits) fields.assign(1, "");  // passed over to its end, not kept
    if (quoted) {
      if (c != '"')
        fields.back() += static_cast<char>(c);
      else if (in.peek() == '"')
        fields.back() += static_cast<char>(in.next());
      else
        quoted = false;
    } else if (c == '"' && fields.back().empty()) {
      quoted = true;
    } else if (c == separator) {
      fields.emplace_back();
    } else if (c == '\n') {
      return fits ? End::row : End::too_long;
    } else if (c != '\r' || in.peek() != '\n') {
      fields.back() += static_cast<char>(c);
    }
  }
}

// The separator that stands most often in the header line, outside quotes; a comma when there is none.
char separator_of(const std::string& path) {
  ByteSource in(path);
  constexpr std::string_view kSeparators = ",;\t|";
  std::array<int, 4> counts{};
  bool quoted = false;
  for (int c = in.next(), n = 0; c >= 0 && (quoted || c != '\n') && n < 65536; c = in.next(), ++n) {
    if (c == '"') quoted = !quoted;
    const size_t k = kSeparators.find(static_cast<char>(c));
    if (!quoted && k != std::string_view::npos) ++counts[k];
  }
  const size_t best = static_cast<size_t>(std::max_element(counts.begin(), counts.end()) - counts.begin());
  return kSeparators[best];
}

std::vector<std::string> header_of(ByteSource& in, char separator, uint64_t max_row_bytes) {
  std::vector<std::string> names;
  const End end = take_record(in, separator, max_row_bytes, names);
  if (end == End::endless_quote) throw InputError(in.path(), "line 1", "a quote opened in the header is never closed");
  if (end != End::row) throw InputError(in.path(), "line 1", "has no header line with the names of the columns");
  std::set<std::string> seen;
  for (auto& name : names) {
    name = std::string(trim(name));
    if (const auto bad = first_invalid_utf8(name)) throw InputError(in.path(), "line 1", not_utf8(name, *bad));
    if (!name.empty() && !seen.insert(name).second)
      throw InputError(in.path(), "line 1", fmt::format("two columns are called \"{}\"", printable(name, 60)));
  }
  return names;
}

bool is_blank(const std::vector<std::string>& fields) { return fields.size() == 1 && trim(fields[0]).empty(); }

std::string problem_of(End end, const std::vector<std::string>& names, const std::vector<std::string>& fields,
                       uint64_t max_row_bytes) {
  if (end == End::endless_quote) return "a quote opened in this row is never closed";
  if (end == End::too_long) return "the row " + too_long(max_row_bytes);
  if (fields.size() != names.size())
    return fmt::format("has {} fields, the header names {}", fields.size(), names.size());
  for (const auto& f : fields)
    if (const auto bad = first_invalid_utf8(f)) return not_utf8(f, *bad);
  return {};
}

}  // namespace

void read_csv(ByteSource& in, uint64_t max_row_bytes, const RowSink& sink) {
  const char separator = separator_of(in.path());
  const auto names = header_of(in, separator, max_row_bytes);
  std::vector<std::string> fields;
  while (in.peek() >= 0) {
    SampleOrigin origin{in.path(), in.line()};
    const End end = take_record(in, separator, max_row_bytes, fields);
    if (end == End::row && is_blank(fields)) continue;
    RawRow row{std::move(origin), nullptr, problem_of(end, names, fields, max_row_bytes)};
    if (row.problem.empty()) {
      Json::object_t object;
      auto& members = static_cast<Json::object_t::Container&>(object);  // the names differ: no look-up is needed
      for (size_t i = 0; i < names.size(); ++i)
        if (!names[i].empty()) members.emplace_back(names[i], std::move(fields[i]));
      row.value = std::move(object);
    }
    if (!sink(std::move(row))) return;
  }
}

}  // namespace lorikeet
