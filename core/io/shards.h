/// The safetensors files of a model folder: one file, or shards named by an index (formats.md 1.6).
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/io/safetensors.h"

namespace lorikeet::detail {

struct ShardTensor {
  std::shared_ptr<const SafetensorsFile> file;
  const SafetensorsEntry* entry;  // inside *file
};
struct ShardedTensors {
  std::map<std::string, ShardTensor> tensors;
  std::vector<std::string> files;  // paths
  std::vector<std::string> warnings;
};
/// `only_file` empty: model.safetensors, else model.safetensors.index.json, else the one other .safetensors file there
/// is. Pickle files are refused with how to convert them.
ShardedTensors open_shards(const std::string& folder, const std::string& only_file);
/// A name that stays inside its folder: not empty, no separator, no drive letter, not "." or "..".
bool is_plain_file_name(const std::string& name);

}  // namespace lorikeet::detail
