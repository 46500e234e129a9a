/// core/ops/device_clip.h in a kernel.
#pragma once
#include "core/ops/device_clip.h"
#include "cuda/device/kernel.cuh"

namespace lorikeet::cuda {

struct Clip {
  const double* square_sum;  // null: none
  double most;
  explicit Clip(const DeviceClip& c) : square_sum(c.square_sum ? c.square_sum->data<double>() : nullptr), most(c.most) {}
  /// False: nothing is to be changed. Else `scale` is multiplied by the factor, in f64 as on the host.
  __device__ bool apply(double& scale) const {
    if (!square_sum) return true;
    const double sum = *square_sum;
    if (!(sum <= 1.7e308)) return false;  // infinite, or no number
    if (most > 0) scale *= fmin(1.0, most / (sqrt(sum) * scale + kClipEps));
    return true;
  }
};

}  // namespace lorikeet::cuda
