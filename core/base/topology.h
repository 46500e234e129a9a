/// Which CPUs this process may use and how they hang together: cores, packages, memory nodes, and the share of time a
/// control group leaves. Read from the system's files; what is missing or makes no sense there counts as unknown.
#pragma once
#include <optional>
#include <string>
#include <vector>

namespace lorikeet {

struct LogicalCpu {
  int id = 0;
  int core = 0;     // same number = siblings that share one physical core; numbered from 0 in order of their first CPU
  int package = 0;
  int node = 0;     // memory node
};
struct Topology {
  std::vector<LogicalCpu> cpus;        // the usable ones, ascending by id; at least one
  std::vector<int> nodes_with_memory;  // ascending; {0} where the system does not say
  double quota = 0;                    // CPUs' worth of time of the control group; 0: no limit

  /// CPUs worth a thread each: the usable ones, at most the quota rounded up.
  int usable() const;
  /// The same counting physical cores.
  int physical() const;
  /// CPUs to pin threads to: one of each physical core first, siblings after them.
  std::vector<int> pin_order() const;
  /// The usable CPUs of each node that has memory and any of them, in the order of nodes, each list in pin_order().
  std::vector<std::vector<int>> groups() const;
};
/// `root` stands for "/" (a tree of files in tests). `allowed`: the process's affinity mask; none = ask the system.
Topology read_topology(const std::string& root = "/", std::optional<std::vector<int>> allowed = std::nullopt);
/// Binds the calling thread to these CPUs (an empty list: leaves it alone). False when the system refuses.
bool bind_this_thread(const std::vector<int>& cpus);

}  // namespace lorikeet
