/// Exporters: what was trained, written in a form that other programs load, then opened again and compared.
/// To add one: write export/<name>.cpp and add its line in exporters.cpp.
#pragma once
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/json.h"
#include "core/base/registry.h"

namespace lorikeet {

struct ExportedFile {
  std::string path;  // full
  uint64_t bytes = 0;
  std::string sha256;
};
struct Exported {
  std::vector<ExportedFile> files;
  std::vector<std::string> warnings;
  /// What comparing the written files with the source gave: at least "passed"; empty when not compared.
  Json verify = Json::object();
};
struct ExportInput {
  std::string from;  // run folder, checkpoint folder or adapter folder
  std::string out;   // new folder, or an empty one
  std::string type;  // for exporters that offer several
  bool verify = true;
  std::string base_model_name;  // for base_model_name_or_path; empty: as the source has it
};
class Exporter {
 public:
  virtual ~Exporter() = default;
  /// Throws InputError when `from` cannot be used, RunError when `out` exists and is not empty or when what was written
  /// reads back differently, Interrupted. Nothing half-written is left.
  virtual Exported write(const ExportInput& input, std::stop_token stop, const std::function<void(double done, double total)>& progress) const = 0;
};
const Registry<const Exporter*>& exporters();

}  // namespace lorikeet
