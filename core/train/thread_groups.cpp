#include "core/train/thread_groups.h"

#include <algorithm>
#include <exception>
#include <thread>

#include <fmt/format.h>

#include "core/base/error.h"

namespace lorikeet {
namespace {

/// The CPUs of each group; empty lists where nothing is bound.
std::vector<std::vector<int>> cpus_of_groups(const std::vector<int>& sizes, bool pin, const Topology& topology) {
  const auto nodes = topology.groups();
  if (nodes.size() == sizes.size() && nodes.size() > 1) return nodes;
  std::vector<std::vector<int>> out(sizes.size());
  const std::vector<int> order = topology.pin_order();
  size_t next = 0;
  for (size_t g = 0; pin && g < sizes.size(); ++g)
    for (int i = 0; i < sizes[g]; ++i) out[g].push_back(order[next++ % order.size()]);
  return out;
}

}  // namespace

void check_thread_groups(int64_t groups, int64_t threads) {
  if (groups >= 1 && groups <= threads) return;
  throw ConfigError("device.numa_groups", fmt::format("device.numa_groups: {} groups cannot be made of {} thread{}; lower it or raise device.threads", groups,
                                                      threads, threads == 1 ? "" : "s"));
}

ThreadGroups make_thread_groups(int count, const Context& whole, bool pin, const Topology& topology) {
  const int threads = whole.threads();
  check_thread_groups(count, threads);
  std::vector<int> sizes(static_cast<size_t>(count), threads / count);
  for (int g = 0; g < threads % count; ++g) ++sizes[static_cast<size_t>(g)];
  const auto cpus = cpus_of_groups(sizes, pin, topology);
  ThreadGroups groups;
  for (size_t g = 0; g < sizes.size(); ++g) {
    ThreadGroup group{std::make_unique<Context>(sizes[g], whole.device(), cpus[g]), cpus[g]};
    group.cx->set_level(whole.level());
    group.cx->set_compute(whole.unit().compute);
    groups.push_back(std::move(group));
  }
  return groups;
}

void run_in_groups(ThreadGroups& groups, const std::function<void(size_t, Context&)>& body) {
  std::vector<std::exception_ptr> errors(groups.size());
  std::vector<std::jthread> leaders;
  // Every group gets a leader of its own, so that the calling thread need not be bound to a node.
  for (size_t g = 0; g < groups.size(); ++g)
    leaders.emplace_back([&, g] {
      bind_this_thread(groups[g].cpus);
      try {
        body(g, *groups[g].cx);
      } catch (...) {
        errors[g] = std::current_exception();
      }
    });
  leaders.clear();  // waits for each
  for (const auto& error : errors)
    if (error) std::rethrow_exception(error);
}

}  // namespace lorikeet
