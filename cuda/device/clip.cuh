/// core/ops/device_clip.h in a kernel, with the host's roundings.
#pragma once
#include <limits>

#include "core/ops/device_clip.h"
#include "cuda/device/kernel.cuh"

namespace lorikeet::cuda {

constexpr double kLargestSum = std::numeric_limits<double>::max();

struct Clip {
  const double* square_sum;  // null: none
  double most;
  explicit Clip(const DeviceClip& c) : square_sum(c.square_sum ? c.square_sum->data<double>() : nullptr), most(c.most) {}
  /// False: nothing is to be changed. Else `scale`, which is grad_scale, is multiplied by the factor.
  __device__ bool apply(double& scale) const {
    if (!square_sum) return true;
    const double sum = *square_sum;
    if (!(sum <= kLargestSum)) return false;  // infinite, or no number
    if (most > 0) scale *= fmin(1.0, most / __dadd_rn(__dmul_rn(sqrt(sum), scale), kClipEps));  // no fused multiply-add
    return true;
  }
};

}  // namespace lorikeet::cuda
