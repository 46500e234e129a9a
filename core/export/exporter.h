/// Exporters: an adapter written for other programs. To add one: write export/<name>.cpp, add one line to exporters.cpp.
#pragma once
#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/registry.h"

namespace lorikeet {

struct ExportedFile {
  std::string path, sha256;
  uint64_t bytes = 0;
};
struct ExportInput {
  std::string adapter;  // folder with adapter_config.json
  std::string type;     // tensor type, where the format has several; empty: its usual one
  std::string out;      // folder to be made; appears complete or not at all
};
using Exporter = std::vector<ExportedFile> (*)(const ExportInput&, std::stop_token);
const Registry<Exporter>& exporters();  // peft
/// The files of a finished export folder with sizes and hashes.
std::vector<ExportedFile> exported_files(const std::string& folder);

}  // namespace lorikeet
