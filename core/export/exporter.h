/// Exporters: an adapter written in a form that other programs load, opened again and compared.
/// To add one: write export/<name>.cpp, declare it in its header and add its line in exporters.cpp.
#pragma once
#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/registry.h"
#include "core/io/model_files.h"

namespace lorikeet {

struct ExportedFile {
  std::string path, sha256;
  uint64_t bytes = 0;
};
struct ExportInput {
  std::string adapter;  // folder with adapter_config.json, run or checkpoint folder with one in adapter/, GGUF adapter
  std::string type;     // tensor type, where the format has several; empty: its usual one
  std::string out;      // new or empty folder; appears complete or not at all
  ModelFilesPtr base;   // wanted for a GGUF adapter, whose rows are put in order by its head size
};
/// Throws InputError when the adapter cannot be used, RunError when `out` exists and is not empty or when what was
/// written reads back differently, Interrupted. Nothing half-written is left.
using Exporter = std::vector<ExportedFile> (*)(const ExportInput&, std::stop_token);
const Registry<Exporter>& exporters();  // peft
/// All files below a finished export folder in order of their names, with sizes and hashes.
std::vector<ExportedFile> exported_files(const std::string& folder);
/// Throws RunError when `out` exists and is not an empty folder (links are not followed). Makes missing parents.
void require_new_folder(const std::string& out);

}  // namespace lorikeet
