#include "core/ops/weight_on.h"

namespace lorikeet {

KernelSlot<UploadWeightFn>& upload_weight_slot() {
  static KernelSlot<UploadWeightFn> slot("weight_on");
  return slot;
}

FrozenWeightPtr weight_on(DeviceType device, const FrozenWeightPtr& w) {
  if (w->device() == device) return w;
  return upload_weight_slot().get(device)(*w);
}

}  // namespace lorikeet
