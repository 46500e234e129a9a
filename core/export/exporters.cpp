// The list of exporters. To add one: write export/<name>.cpp, declare it below, add one line.
#include "core/export/exporter.h"

#include <algorithm>

#include "core/base/files.h"

namespace lorikeet {

std::vector<ExportedFile> export_peft(const ExportInput& input, std::stop_token stop);

const Registry<Exporter>& exporters() {
  static const Registry<Exporter> all("export format", {{"peft", &export_peft}});
  return all;
}

std::vector<ExportedFile> exported_files(const std::string& folder) {
  std::vector<ExportedFile> out;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) out.push_back({entry.path().string(), sha256_of_file(entry.path().string()), entry.file_size()});
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return out;
}

}  // namespace lorikeet
