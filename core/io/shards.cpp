// An index is checked as a whole first (plain names, files present), then every tensor in it is found in its shard.
#include "core/io/shards.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/text.h"
#include "core/io/json_reader.h"

namespace lorikeet::detail {
namespace {

constexpr uint64_t kMaxIndexBytes = 32u << 20;
constexpr size_t kMaxShards = 4096;
constexpr const char* kIndex = "model.safetensors.index.json";

void add_file(ShardedTensors& out, const std::string& path) {
  auto file = std::make_shared<const SafetensorsFile>(path);
  if (const auto format = file->metadata().find("format"); format != file->metadata().end() && format->second != "pt")
    out.warnings.push_back(printable(path) + ": written for " + printable(format->second, 30) +
                           ", not PyTorch; tensors are taken as they are");
  for (const SafetensorsEntry& e : file->entries()) out.tensors.emplace(e.name, ShardTensor{file, &e});
  out.files.push_back(path);
}

/// tensor name -> shard, checked.
std::map<std::string, std::string> read_weight_map(const std::string& folder, const std::string& path) {
  const Json index =
      parse_json(read_file(path, kMaxIndexBytes), path, {}, {.max_depth = 8, .reject_duplicate_keys = true});
  const JsonReader r(index, path);
  const Json* map = r.find("weight_map");
  if (!map || !map->is_object() || map->empty())
    r.fail("weight_map", "is missing or no object; it maps tensors to files");
  std::map<std::string, std::string> out;
  std::set<std::string> shards;
  for (const auto& [name, shard] : map->items()) {
    if (!shard.is_string())
      r.fail("weight_map." + name, "found " + described(shard) + "; the name of a file is wanted");
    const auto& file = shard.get_ref<const std::string&>();
    if (shards.insert(file).second) {
      if (!is_plain_file_name(file))
        r.fail("weight_map." + name,
               "\"" + printable(file, 80) + "\" is no plain file name; files outside the folder are not opened");
      if (shards.size() > kMaxShards) r.fail("weight_map", fmt::format("names more than {} files", kMaxShards));
    }
    out.emplace(name, file);
  }
  for (const std::string& shard : shards)
    if (std::error_code none; !fs::is_regular_file(folder + "/" + shard, none))
      throw InputError(path, "weight_map", "the file " + printable(shard, 80) + " is missing; fetch the model again");
  return out;
}

ShardedTensors open_index(const std::string& folder) {
  const std::string path = folder + "/" + kIndex;
  const auto map = read_weight_map(folder, path);
  std::map<std::string, std::shared_ptr<const SafetensorsFile>> files;
  for (const auto& [name, shard] : map)
    if (!files.count(shard)) files.emplace(shard, std::make_shared<const SafetensorsFile>(folder + "/" + shard));
  ShardedTensors out;
  std::map<std::string, std::string> seen;
  size_t unlisted = 0;
  for (const auto& [shard, file] : files) {
    out.files.push_back(file->path());
    for (const SafetensorsEntry& e : file->entries()) {
      if (const auto [other, fresh] = seen.emplace(e.name, shard); !fresh)
        throw InputError(path, "tensor " + printable(e.name, 70),
                         "lies in two files, " + printable(other->second, 40) + " and " + printable(shard, 40));
      unlisted += !map.count(e.name);
    }
  }
  for (const auto& [name, shard] : map) {
    const auto& file = files.at(shard);
    const SafetensorsEntry* e = file->find(name);
    if (!e) throw InputError(path, "weight_map." + printable(name, 80), "is not in " + printable(shard, 60));
    out.tensors.emplace(name, ShardTensor{file, e});
  }
  if (unlisted > 0)
    out.warnings.push_back(fmt::format("{} tensors in the files are not in the index and ignored", unlisted));
  return out;
}

/// Nothing readable was found: say what is there and what to do.
[[noreturn]] void refuse_folder(const std::string& folder, const std::vector<std::string>& names) {
  for (const std::string& name : names)
    for (const char* suffix : {".bin", ".pt", ".pth", ".ckpt"})
      if (name.ends_with(suffix) && name.find("training_args") == std::string::npos)
        throw InputError(folder, name,
                         "pickle files can run code and are not opened; convert once with transformers: "
                         "save_pretrained(folder, safe_serialization=True)");
  throw InputError(folder, "",
                   "has no model.safetensors and no model.safetensors.index.json; fetch the model's weights");
}

}  // namespace

bool is_plain_file_name(const std::string& name) {
  if (name.empty() || name.size() > 255 || name == "." || name == "..") return false;
  return std::none_of(name.begin(), name.end(), [](char c) { return c == '/' || c == '\\' || c == ':' || c == '\0'; });
}

ShardedTensors open_shards(const std::string& folder, const std::string& only_file) {
  ShardedTensors out;
  if (!only_file.empty()) {
    add_file(out, only_file);
    return out;
  }
  std::error_code none;
  if (fs::is_regular_file(folder + "/model.safetensors", none)) {
    add_file(out, folder + "/model.safetensors");
    return out;
  }
  if (fs::is_regular_file(folder + "/" + kIndex, none)) return open_index(folder);
  std::vector<std::string> names, safetensors;
  for (const auto& entry : fs::directory_iterator(folder, none)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  for (const std::string& name : names)
    if (name.ends_with(".safetensors") && !name.starts_with("adapter")) safetensors.push_back(name);
  if (safetensors.size() > 1)
    throw InputError(
        folder, kIndex,
        fmt::format("is missing; {} .safetensors files lie here and only the index says how they belong together",
                    safetensors.size()));
  if (safetensors.empty()) refuse_folder(folder, names);
  add_file(out, folder + "/" + safetensors[0]);
  return out;
}

}  // namespace lorikeet::detail
