// One hash for a model's weights. Reading gigabytes for it each time would be felt, so it is remembered per file as
// long as size and time of change stay; a lost or damaged memory only costs time.
#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "core/io/opened_model.h"

namespace lorikeet::detail {
namespace {

constexpr size_t kMaxRemembered = 1000;
constexpr uint64_t kMaxMemoryBytes = 1u << 20;

std::string memory_path() { return user_cache_folder() + "/model-hashes.json"; }

std::string stamp_of(const std::string& path) {
  const auto time = fs::last_write_time(path).time_since_epoch().count();
  return fmt::format("{} {}", fs::file_size(path), time);
}

Json remembered() {
  try {
    Json j = read_json_file(memory_path(), kMaxMemoryBytes);
    if (j.is_object()) return j;
  } catch (const Error&) {
  }
  return Json::object();
}

void remember(const std::string& path, const std::string& stamp, const std::string& hash) {
  try {
    Json j = remembered();
    if (j.size() >= kMaxRemembered) j = Json::object();
    j[path] = {{"stamp", stamp}, {"sha256", hash}};
    fs::create_directories(user_cache_folder());
    write_file_atomic(memory_path(), dump_json(j, 1));
  } catch (const std::exception&) {  // a read-only home folder is no reason to stop
  }
}

std::string hash_of_file(const std::string& given) {
  const std::string path = fs::absolute(given).lexically_normal().string(), stamp = stamp_of(path);
  const Json known = remembered();
  if (const auto it = known.find(path); it != known.end() && it->is_object() && it->value("stamp", "") == stamp) {
    const std::string hash = it->value("sha256", "");
    if (hash.size() == 64) return hash;
  }
  const std::string hash = sha256_of_file(path);
  remember(path, stamp, hash);
  return hash;
}

}  // namespace

std::string cached_content_hash(const std::vector<std::string>& files) {
  if (files.size() == 1) return hash_of_file(files[0]);
  std::string all;
  for (const std::string& file : files) all += hash_of_file(file) + "  " + fs::path(file).filename().string() + "\n";
  return sha256_of_text(all);
}

}  // namespace lorikeet::detail
