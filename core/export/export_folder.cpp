// What all exporters share. A user's files are never overwritten by an export: the folder must be new or empty.
#include <algorithm>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/export/exporter.h"

namespace lorikeet {

void require_new_folder(const std::string& out) {
  if (out.empty()) throw UsageError("the folder to write into is not named (--out)");
  fs::path path(out);
  if (!path.has_filename()) path = path.parent_path();
  std::error_code error;
  const auto status = fs::symlink_status(path, error);
  if (fs::exists(status)) {
    if (!fs::is_directory(status))
      throw RunError(printable(out, 180) + ": exists and is not a folder; choose another name");
    if (!fs::is_empty(path, error))
      throw RunError(printable(out, 180) + ": exists and is not empty; choose another name");
  }
  error.clear();  // symlink_status sets it for a name that is free
  if (path.has_parent_path()) fs::create_directories(path.parent_path(), error);
  if (error) throw IoError(out, printable(out, 180) + ": its folder cannot be made: " + error.message());
}

std::vector<ExportedFile> exported_files(const std::string& folder) {
  std::vector<std::string> paths;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  std::vector<ExportedFile> out;
  for (const std::string& path : paths) out.push_back({path, sha256_of_file(path), fs::file_size(path)});
  return out;
}

}  // namespace lorikeet
