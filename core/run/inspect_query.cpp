// What a file or folder is: models, adapters, runs and tokenizers by core/io, data sets by core/data.
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/data/dataset.h"
#include "core/io/inspect.h"
#include "core/run/queries.h"

namespace lorikeet {
namespace {

// The members every answer has, absent ones as null.
Json complete(Json j) {
  Json out = {{"kind", j.value("kind", "")}, {"path", j.value("path", "")}};
  for (const char* key : {"architecture", "parameters", "context_length"}) out[key] = j.contains(key) ? j[key] : Json(nullptr);
  out["formats"] = j.contains("formats") ? j["formats"] : Json::object();
  for (const char* key : {"tokenizer", "chat_template"}) out[key] = j.contains(key) ? j[key] : Json(nullptr);
  for (const auto& [key, value] : j.items())
    if (!out.contains(key) && key != "warnings") out[key] = value;
  out["warnings"] = j.contains("warnings") ? j["warnings"] : Json::array();
  return out;
}

Json inspect_data_file(const std::string& path) {
  const Dataset data = read_dataset({path}, {});
  Json warnings = Json::array();
  for (const auto& b : data.bad_rows) {
    if (warnings.size() >= 20) break;
    warnings.push_back("line " + std::to_string(b.origin.line) + ": " + b.reason);
  }
  return {{"kind", "data"}, {"path", path}, {"format", data.format}, {"evidence", data.evidence}, {"samples", data.samples.size()},
          {"bad_rows", data.bad_row_count}, {"warnings", warnings}};
}

}  // namespace

Json inspect_path(const std::string& path) {
  Json j = inspect_file_or_folder(path);
  if (j.value("kind", "") == "data") j = inspect_data_file(path);
  j["path"] = path;
  return complete(std::move(j));
}

}  // namespace lorikeet
