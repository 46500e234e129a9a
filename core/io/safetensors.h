/// safetensors: reading with every check of formats.md 1.4 before anything is used, writing atomically.
#pragma once
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/files.h"
#include "core/tensor/tensor.h"

namespace lorikeet {

struct SafetensorsEntry {
  std::string name, dtype;  // dtype as written: "BF16", "U8", ...
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;  // absolute byte offsets in the file
};
class SafetensorsFile {
 public:
  /// Throws InputError (exit 3) naming the tensor or byte and what was found.
  explicit SafetensorsFile(const std::string& path);
  const std::vector<SafetensorsEntry>& entries() const { return entries_; }  // file order
  const SafetensorsEntry* find(const std::string& name) const;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  std::span<const std::byte> bytes(const SafetensorsEntry& e) const;
  /// The tensor over the mapped bytes (copied when misaligned). Throws InputError for dtypes tensors do not have.
  Tensor tensor(const SafetensorsEntry& e) const;
  std::shared_ptr<const MappedFile> mapping() const { return file_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::shared_ptr<const MappedFile> file_;
  std::vector<SafetensorsEntry> entries_;
  std::map<std::string, size_t> index_;
  std::map<std::string, std::string> metadata_;
};
/// Writes tensors in the reference writer's order (wide types first, then names), metadata format=pt added. Atomic.
/// Returns the sha256 of the file.
std::string write_safetensors(const std::string& path, const std::vector<std::pair<std::string, Tensor>>& tensors,
                              std::map<std::string, std::string> metadata = {});
std::string_view safetensors_dtype(DType t);

}  // namespace lorikeet
