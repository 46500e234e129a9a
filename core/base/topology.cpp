#include "core/base/topology.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <set>
#include <thread>

#include "core/base/text.h"

namespace lorikeet {
namespace {

constexpr int kMostCpus = 8192, kMostNodes = 1024;

/// The first line of a small file, without blanks around it; empty when there is none.
std::string line_of(const std::string& path) {
  std::ifstream in(path);
  std::string line(4096, '\0');
  in.read(line.data(), static_cast<std::streamsize>(line.size()));
  line.resize(static_cast<size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  return std::string(trim(line.substr(0, line.find('\n'))));
}

std::optional<int> number_of(std::string_view text, int most) {
  const auto v = parse_int(trim(text));
  if (!v || *v < 0 || *v > most) return std::nullopt;
  return static_cast<int>(*v);
}

/// "0-3,8" as numbers, ascending; parts that make no sense are left out.
std::vector<int> list_of(const std::string& text, int most) {
  std::set<int> out;
  for (const std::string& part : split(text, ',')) {
    const size_t dash = part.find('-');
    const auto first = number_of(std::string_view(part).substr(0, dash), most);
    const auto last = dash == std::string::npos ? first : number_of(std::string_view(part).substr(dash + 1), most);
    if (first && last)
      for (int i = *first; i <= *last; ++i) out.insert(i);
  }
  return {out.begin(), out.end()};
}

std::vector<int> affinity() {
  std::vector<int> out;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    for (int i = 0; i < CPU_SETSIZE; ++i)
      if (CPU_ISSET(i, &set)) out.push_back(i);
  if (out.empty())  // more CPUs than the set holds, or no such call: all of them
    for (int i = 0; i < static_cast<int>(std::max(1u, std::thread::hardware_concurrency())); ++i) out.push_back(i);
  return out;
}

/// cpu.max of a version 2 group ("max 100000" or "150000 100000").
double quota_v2(const std::string& folder) {
  const auto parts = split(line_of(folder + "/cpu.max"), ' ');
  if (parts.size() != 2) return 0;
  const auto quota = parse_int(parts[0]), period = parse_int(parts[1]);
  return quota && period && *quota > 0 && *period > 0 ? static_cast<double>(*quota) / static_cast<double>(*period) : 0;
}

double quota_v1(const std::string& folder) {
  const auto quota = parse_int(line_of(folder + "/cpu.cfs_quota_us")), period = parse_int(line_of(folder + "/cpu.cfs_period_us"));
  return quota && period && *quota > 0 && *period > 0 ? static_cast<double>(*quota) / static_cast<double>(*period) : 0;
}

/// The tightest limit of the process's group and the groups around it. Inside a container the group's own path is often
/// not there: then the top of the tree is what holds.
double read_quota(const std::string& root) {
  constexpr int kMostDepth = 64;
  double tightest = 0;
  std::ifstream in(root + "/proc/self/cgroup");
  std::string line;
  const auto take = [&](double q) {
    if (q > 0) tightest = tightest > 0 ? std::min(tightest, q) : q;
  };
  for (int lines = 0; lines < kMostDepth && std::getline(in, line); ++lines) {
    const size_t first = line.find(':'), second = line.find(':', first == std::string::npos ? first : first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    const auto names = split(controllers, ',');
    const bool v2 = controllers.empty(), v1 = std::find(names.begin(), names.end(), "cpu") != names.end();
    if ((!v2 && !v1) || path.find("..") != std::string::npos) continue;
    for (int depth = 0; depth < kMostDepth; ++depth) {
      take(v2 ? quota_v2(root + "/sys/fs/cgroup" + path) : quota_v1(root + "/sys/fs/cgroup/" + controllers + path));
      if (path.empty()) break;
      path.resize(std::min(path.rfind('/'), path.size()));
    }
  }
  return tightest;
}

int within_quota(int count, double quota) {
  const double most = quota > 0 ? std::ceil(std::min(quota, 1.0 * kMostCpus)) : count;
  return std::max(1, std::min(count, static_cast<int>(most)));
}

}  // namespace

int Topology::usable() const { return within_quota(static_cast<int>(cpus.size()), quota); }

int Topology::physical() const {
  std::set<int> cores;
  for (const LogicalCpu& c : cpus) cores.insert(c.core);
  return within_quota(static_cast<int>(cores.size()), quota);
}

std::vector<int> Topology::pin_order() const {
  std::vector<int> out, siblings;
  std::set<int> seen;
  for (const LogicalCpu& c : cpus) (seen.insert(c.core).second ? out : siblings).push_back(c.id);
  out.insert(out.end(), siblings.begin(), siblings.end());
  return out;
}

std::vector<std::vector<int>> Topology::groups() const {
  std::vector<std::vector<int>> out;
  for (const int node : nodes_with_memory) {
    std::vector<int> mine;
    for (const int id : pin_order())
      if (std::any_of(cpus.begin(), cpus.end(), [&](const LogicalCpu& c) { return c.id == id && c.node == node; })) mine.push_back(id);
    if (!mine.empty()) out.push_back(std::move(mine));
  }
  return out;
}

Topology read_topology(const std::string& root, std::optional<std::vector<int>> allowed) {
  const std::string cpu_folder = root + "/sys/devices/system/cpu", node_folder = root + "/sys/devices/system/node";
  std::vector<int> ids = allowed ? *allowed : affinity();
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  if (const auto online = list_of(line_of(cpu_folder + "/online"), kMostCpus); !online.empty()) {
    std::vector<int> both;
    std::set_intersection(ids.begin(), ids.end(), online.begin(), online.end(), std::back_inserter(both));
    if (!both.empty()) ids = both;
  }
  if (ids.empty()) ids = {0};
  std::map<int, int> node_of;
  for (const int node : list_of(line_of(node_folder + "/online"), kMostNodes))
    for (const int cpu : list_of(line_of(node_folder + "/node" + std::to_string(node) + "/cpulist"), kMostCpus)) node_of[cpu] = node;
  Topology t;
  std::map<std::pair<int, int>, int> cores;  // (package, core id) or (-1, CPU) -> number
  for (const int id : ids) {
    const std::string folder = cpu_folder + "/cpu" + std::to_string(id) + "/topology/";
    const auto core = number_of(line_of(folder + "core_id"), 1 << 30), package = number_of(line_of(folder + "physical_package_id"), 1 << 30);
    const auto key = core ? std::pair(package.value_or(0), *core) : std::pair(-1, id);
    const int number = cores.emplace(key, static_cast<int>(cores.size())).first->second;
    t.cpus.push_back({id, number, package.value_or(0), node_of.count(id) ? node_of[id] : 0});
  }
  t.nodes_with_memory = list_of(line_of(node_folder + "/has_memory"), kMostNodes);
  if (t.groups().empty()) {  // not said, or not so that it fits the CPUs: one node
    t.nodes_with_memory = {0};
    for (LogicalCpu& c : t.cpus) c.node = 0;
  }
  t.quota = read_quota(root);
  return t;
}

bool bind_this_thread(const std::vector<int>& cpus) {
  if (cpus.empty()) return true;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int c : cpus)
    if (c >= 0 && c < CPU_SETSIZE) CPU_SET(c, &set);
  return sched_setaffinity(0, sizeof set, &set) == 0;
}

}  // namespace lorikeet
