/// A frozen weight on another device, in the form it is stored in: what is decoded there is bit for bit what decode_rows()
/// gives here. decode_rows() of the copy goes by way of the host and is meant for checks and exports.
#pragma once
#include "core/ops/frozen_weight.h"
#include "core/tensor/kernel_slot.h"

namespace lorikeet {

/// `w` itself when it lies there already. Throws UnsupportedError (no such device, or a form it has no decoder for), OutOfMemoryError.
FrozenWeightPtr weight_on(DeviceType device, const FrozenWeightPtr& w);
using UploadWeightFn = FrozenWeightPtr (*)(const FrozenWeight&);
KernelSlot<UploadWeightFn>& upload_weight_slot();

}  // namespace lorikeet
