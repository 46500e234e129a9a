/// Groups of threads that work at the same time on micro-batches of their own, one group a memory node: a matrix product
/// that reaches over to another node's memory is slower than two that stay at home, and all that crosses are the
/// gradients of the adapter. The frozen weights are read by all groups from where they lie (a copy for each node is a
/// possible next step).
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "core/base/topology.h"
#include "core/tensor/context.h"

namespace lorikeet {

struct ThreadGroup {
  std::unique_ptr<Context> cx;
  std::vector<int> cpus;  // the group's threads stay on these; empty: anywhere
};
using ThreadGroups = std::vector<ThreadGroup>;

/// Throws ConfigError("device.numa_groups") unless 1 <= groups <= threads.
void check_thread_groups(int64_t groups, int64_t threads);
/// Splits the threads of `whole` into `count` groups as even as can be (the first ones get the rest), each with a context
/// of the same level and compute type. As many groups as nodes: each is bound to its node. Otherwise they are bound, a
/// CPU a thread, when `pin` is set. Throws like check_thread_groups().
ThreadGroups make_thread_groups(int count, const Context& whole, bool pin, const Topology& topology);
/// Runs body(group, context) for all groups at once and waits for all; the first group's exception of those thrown.
void run_in_groups(ThreadGroups& groups, const std::function<void(size_t group, Context& cx)>& body);

}  // namespace lorikeet
