/// Which row shape a file has, from its first rows, with the evidence.
#pragma once
#include <string>
#include <vector>

#include "core/data/dataset.h"

namespace lorikeet {

/// Rows looked at before a format is chosen.
constexpr size_t kDetectionRows = 200;

struct DetectedFormat {
  const DatasetFormat* format = nullptr;
  std::string why;  // "\"messages\" key"
};
/// Looks for formats that recognise at least half of the rows; where none does, for the only one that recognises any.
/// Two claims are an InputError naming both, except that "text" stands back behind every shape but "tokens" (instruct
/// sets often carry the rendered prompt as "text" too). Preference pairs are an InputError by their name.
DetectedFormat detect_format(const std::vector<const Json*>& rows, const std::string& file);
/// What kind of preference data the row is ("preference pairs (\"chosen\" and \"rejected\")"), or empty.
std::string preference_kind(const Json& row);

}  // namespace lorikeet
