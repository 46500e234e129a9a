// From what a user writes to a folder or file on disk: the default model, a path, or a hub id in the Hugging Face
// cache. Nothing here touches the network.
#include <algorithm>
#include <cstdlib>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/io/model_files.h"
#include "core/io/opened_model.h"

namespace lorikeet {
namespace {

constexpr const char* kDefaultName = "SmolLM2-135M-Instruct";
constexpr const char* kDefaultId = "HuggingFaceTB/SmolLM2-135M-Instruct";

std::string environment(const char* name) {
  const char* v = std::getenv(name);
  return v ? v : "";
}

/// The hub cache as all tools share it (formats.md 8.5).
std::string hub_cache() {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"})
    if (const std::string v = environment(name); !v.empty()) return v;
  if (const std::string v = environment("HF_HOME"); !v.empty()) return v + "/hub";
  if (const std::string v = environment("XDG_CACHE_HOME"); !v.empty()) return v + "/huggingface/hub";
  return environment("HOME") + "/.cache/huggingface/hub";
}

/// "org/name" or "name" of the characters that hub names have, so that it can safely become a folder name.
bool is_hub_id(const std::string& id) {
  if (id.empty() || id.size() > 200 || std::count(id.begin(), id.end(), '/') > 1 || id.find("..") != std::string::npos)
    return false;
  if (id.front() == '/' || id.back() == '/' || id.front() == '.') return false;
  return std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' || c == '-' ||
           c == '_' || c == '.';
  });
}

bool is_commit(const std::string& s) {
  return s.size() == 40 &&
         std::all_of(s.begin(), s.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// The newest known snapshot of a hub id, or empty.
std::string snapshot_of(const std::string& id) {
  std::string folder = "models--" + id;
  if (const size_t slash = folder.find('/'); slash != std::string::npos) folder.replace(slash, 1, "--");
  const std::string repository = hub_cache() + "/" + folder;
  std::error_code none;
  if (const std::string ref = repository + "/refs/main"; fs::is_regular_file(ref, none)) {
    const std::string commit(trim(read_file(ref, 1024)));
    if (is_commit(commit) && fs::is_directory(repository + "/snapshots/" + commit, none))
      return repository + "/snapshots/" + commit;
  }
  std::vector<std::string> snapshots;
  for (const auto& entry : fs::directory_iterator(repository + "/snapshots", none))
    if (is_commit(entry.path().filename().string())) snapshots.push_back(entry.path().string());
  return snapshots.size() == 1 ? snapshots[0] : std::string();
}

}  // namespace

std::string default_model_path() {
  const std::string folder = user_cache_folder() + "/models/" + kDefaultName;
  std::error_code none;
  if (fs::is_regular_file(folder + "/config.json", none)) return folder;
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(folder, none))
    if (entry.path().extension() == ".gguf") found.push_back(entry.path().string());
  return found.empty() ? std::string() : *std::min_element(found.begin(), found.end());
}

std::string resolve_model_path(const std::string& given) {
  if (given.empty() || given == "default") {
    const std::string path = default_model_path();
    if (path.empty())
      throw InputError("default model", "", std::string(kDefaultName) + " is not on this machine; run: ./studio model");
    return path;
  }
  std::error_code none;
  if (fs::exists(given, none)) return given;
  if (given == kDefaultId && !default_model_path().empty()) return default_model_path();
  if (is_hub_id(given)) {
    if (const std::string path = snapshot_of(given); !path.empty()) return path;
    if (given.find('/') != std::string::npos)
      throw InputError(given, "",
                       "is neither a file or folder here nor in the Hugging Face cache (" + printable(hub_cache(), 90) +
                           "); give a path, or fetch it first");
  }
  throw InputError(given, "",
                   "no such file or folder; a model is a folder with config.json, a .gguf or a .safetensors file");
}

namespace detail {

std::string base_name_of(const std::string& path) {
  const fs::path full = fs::absolute(path).lexically_normal();
  for (const fs::path& part : full) {
    const std::string name = part.string();
    if (!name.starts_with("models--")) continue;
    std::string id = name.substr(8);
    if (const size_t dashes = id.find("--"); dashes != std::string::npos) id.replace(dashes, 2, "/");
    if (is_hub_id(id)) return id;
  }
  const fs::path fetched = fs::path(user_cache_folder()) / "models" / kDefaultName;
  if (full == fetched || full.parent_path() == fetched) return kDefaultId;
  return full.string();
}

}  // namespace detail
}  // namespace lorikeet
