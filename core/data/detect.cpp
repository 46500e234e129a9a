// Recognising the row shape.
#include "core/data/detect.h"

#include <set>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/data/row_fields.h"

namespace lorikeet {
namespace {

struct Claim {
  const DatasetFormat* format;
  std::string why;
  size_t rows = 0;
};

std::vector<Claim> claims_on(const std::vector<const Json*>& rows) {
  std::vector<Claim> out;
  for (const auto& [name, format] : dataset_formats().entries()) {
    Claim claim{format, {}};
    for (const Json* row : rows)
      if (auto why = format->recognises(*row)) {
        if (claim.rows++ == 0) claim.why = *why;
      }
    if (claim.rows > 0) out.push_back(std::move(claim));
  }
  return out;
}

void refuse_preferences(const std::vector<const Json*>& rows, const std::string& file) {
  size_t count = 0;
  std::string kind;
  for (const Json* row : rows)
    if (std::string k = preference_kind(*row); !k.empty()) ++count, kind = std::move(k);
  if (count * 2 >= rows.size() && count > 0)
    throw InputError(
        file, "",
        fmt::format("holds {}; this version trains on answers, not on preferences. Setting data.format reads "
                    "only the columns of that format",
                    kind));
}

// Drops "text" where a richer shape claims the rows too.
void let_text_stand_back(std::vector<Claim>& claims) {
  bool richer = false;
  for (const auto& c : claims) richer = richer || (c.format->name() != "text" && c.format->name() != "tokens");
  if (richer) std::erase_if(claims, [](const Claim& c) { return c.format->name() == "text"; });
}

// Few keys and short ones: the sentence must have room for what is known.
[[noreturn]] void refuse_unknown(const std::vector<const Json*>& rows, const std::string& file) {
  std::set<std::string> seen;
  std::string keys, known;
  for (const Json* row : rows)
    for (const auto& [key, value] : row->items())
      if (seen.size() < 4 && seen.insert(key).second)
        keys += fmt::format("{}\"{}\"", keys.empty() ? "" : ", ", printable(key, 14));
  for (const auto& [name, format] : dataset_formats().entries())
    known += (known.empty() ? "" : "; ") + std::string(format->needs());
  throw InputError(file, "", fmt::format("rows with {} fit no known shape: {}", keys.empty() ? "no keys" : keys, known));
}

[[noreturn]] void refuse_two(const std::vector<Claim>& claims, size_t rows, const std::string& file) {
  std::string all;
  for (const auto& c : claims)
    all += fmt::format("{}{} ({} in {} of {} rows)", all.empty() ? "" : " and ", c.format->name(), c.why, c.rows, rows);
  throw InputError(file, "", fmt::format("could be read as {}; choose one with data.format", all));
}

}  // namespace

std::string preference_kind(const Json& row) {
  if (member(row, "chosen") && member(row, "rejected")) return "preference pairs (\"chosen\" and \"rejected\")";
  const Json* label = member(row, "label") ? member(row, "label") : member(row, "kto_tag");
  const bool answered = has_list(row, "messages") || has_list(row, "conversations") ||
                        (member(row, "prompt") && member(row, "completion"));
  if (label && label->is_boolean() && answered) return "answers marked good or bad (a true or false \"label\")";
  return {};
}

DetectedFormat detect_format(const std::vector<const Json*>& rows, const std::string& file) {
  refuse_preferences(rows, file);
  std::vector<Claim> claims = claims_on(rows);
  let_text_stand_back(claims);
  std::vector<Claim> strong;
  for (const auto& c : claims)
    if (c.rows * 2 >= rows.size()) strong.push_back(c);
  if (strong.empty()) strong = claims;
  if (strong.empty()) refuse_unknown(rows, file);
  if (strong.size() > 1) refuse_two(strong, rows.size(), file);
  return {strong[0].format, strong[0].why};
}

}  // namespace lorikeet
