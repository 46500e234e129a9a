// The machine with its GPUs: what core/run knows of it and what the backends of this program know.
#include "app/backends.h"
#include "core/run/queries.h"

namespace lorikeet {

Json machine_information() {
  Json out = device_information();
  const Json gpu = gpu_information();
  out["gpus"] = gpu["gpus"];
  if (const std::string reason = gpu.value("reason", ""); !reason.empty()) out["refused"].push_back("GPU: " + reason);
  if (gpu.contains("driver")) out["driver"] = gpu["driver"];
  return out;
}

}  // namespace lorikeet
