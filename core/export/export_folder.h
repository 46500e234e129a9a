/// What all exporters share: a new folder, and the list of what was put into it.
#pragma once
#include <string>
#include <vector>

#include "core/export/exporter.h"

namespace lorikeet::detail {

/// Throws RunError when `out` exists and is not an empty folder (links are not followed). Makes missing parents.
void require_new_folder(const std::string& out);
/// All files below `folder` in order of their names, with size and sha256.
std::vector<ExportedFile> list_files(const std::string& folder);

}  // namespace lorikeet::detail
