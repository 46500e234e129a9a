// The sample project that comes with the program, and where its files lie.
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/run/queries.h"

namespace lorikeet {
namespace {

std::string folder_of_program() {
  std::array<char, 4096> path{};
  const ssize_t n = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  return n > 0 ? fs::path(std::string(path.data(), static_cast<size_t>(n))).parent_path().string() : std::string(".");
}

}  // namespace

std::string resources_folder() {
  std::vector<std::string> places;
  if (const char* set = std::getenv("LORIKEET_RESOURCES")) places.push_back(set);
  const std::string program = folder_of_program();
  places.push_back(program + "/../share/lorikeet");       // installed
  places.push_back(program + "/resources");               // unpacked archive
  places.push_back(program + "/../../../resources");      // build/<preset>/bin in the source tree
  places.push_back(program + "/../../resources");         // any build folder's tests/
  places.push_back(LORIKEET_SOURCE_RESOURCES);
  for (const auto& p : places)
    if (fs::exists(p + "/sample/appointments.jsonl")) return fs::path(p).lexically_normal().string();
  throw IoError(places.back(), "the program's data files (sample/appointments.jsonl) were not found; set LORIKEET_RESOURCES to the resources folder");
}

RunConfig sample_project_config() {
  const std::string resources = resources_folder();
  RunConfig c = read_config_file(resources + "/presets/sample.json");
  c.data.train = {resources + "/sample/appointments.jsonl"};
  return c;
}

}  // namespace lorikeet
