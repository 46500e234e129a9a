/// Clipping by a norm that only the device knows, so that the host need not wait for it between backward and update.
#pragma once
#include <algorithm>
#include <cmath>

#include "core/tensor/tensor.h"

namespace lorikeet {

struct DeviceClip {
  const Tensor* square_sum = nullptr;  // of all gradients, f64 [1] on the context's device; null: no clipping of this kind
  double most = 0;                     // largest norm; 0: any
  /// As torch.nn.utils.clip_grad_norm_. A sum that is not finite means that nothing is to be changed.
  static double factor(double square_sum, double most) { return most > 0 ? std::min(1.0, most / (std::sqrt(square_sum) + 1e-6)) : 1.0; }
};

}  // namespace lorikeet
