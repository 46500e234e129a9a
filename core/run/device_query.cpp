// What this machine offers, under the keys of the contract. GPUs are added by the program, which knows the backends.
#include "core/base/system.h"
#include "core/base/topology.h"
#include "core/run/queries.h"
#include "core/tensor/cpu_level.h"
#include "core/tensor/device_cards.h"

namespace lorikeet {

Json device_information() {
  const CpuProbe& p = cpu_probe();
  Json levels = Json::array(), refused = Json::array();
  for (const CpuLevel l : p.available) levels.push_back(std::string(cpu_level_name(l)));
  for (const auto& r : p.refused) refused.push_back(r);
  const CpuLevel used = cpu_level();
  const Topology topology = read_topology();
  return {{"cpu",
           {{"name", p.model_name},
            {"level", std::string(cpu_level_name(used))},
            {"why", used == p.best ? p.why : "forced"},
            {"levels_available", levels},
            {"compute", compute_type_name(fast_compute(used))},
            {"threads", default_threads()},
            {"cpus", topology.cpus.size()},
            {"physical_cores", topology.physical()},
            {"memory_nodes", topology.groups().size()},
            {"bytes", total_memory_bytes()},
            {"available_bytes", available_memory_bytes()}}},
          {"gpus", Json::array()},
          {"driver", nullptr},
          {"refused", refused}};
}

std::vector<UsableCard> usable_cards() {
  std::vector<UsableCard> out;
  if (const DeviceCards* cards = device_cards(DeviceType::cuda))
    for (const DeviceCard& c : cards->list())
      if (c.usable) out.push_back({c.number, c.name, c.bytes});
  return out;
}

}  // namespace lorikeet
