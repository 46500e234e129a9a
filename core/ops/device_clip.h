/// Clipping by a norm that only the device knows, so that the host need not wait for it between backward and update.
#pragma once
#include <algorithm>
#include <cmath>

#include "core/tensor/context.h"
#include "core/tensor/tensor.h"

namespace lorikeet {

constexpr double kClipEps = 1e-6;  // as torch.nn.utils.clip_grad_norm_
/// What gradients of this norm are multiplied by; `most` 0: any norm will do.
inline double clip_factor(double norm, double most) { return most > 0 ? std::min(1.0, most / (norm + kClipEps)) : 1.0; }

/// Gradients may be left unscaled until the update, whose `grad_scale` (say, 1 / tokens) makes them what they are: the norm
/// is sqrt(square_sum) * grad_scale, and a gradient is multiplied by grad_scale * clip_factor(norm, most).
struct DeviceClip {
  const Tensor* square_sum = nullptr;  // of all gradients before grad_scale, f64 [1] on the context's device; null: no clipping of this kind
  double most = 0;                     // largest norm; 0: any
};
/// What a gradient is multiplied by.
inline double clipped_scale(double square_sum, double grad_scale, double most) { return grad_scale * clip_factor(std::sqrt(square_sum) * grad_scale, most); }

/// Runs an update whose arguments hold such a clip. On the host, which knows the sum, it becomes a part of `grad_scale`; a
/// sum that is not finite means that nothing is to be changed.
template <class Args, class Run>
void with_clip(const Context& cx, const Args& a, const Run& run) {
  if (!a.clip.square_sum || cx.device() != DeviceType::cpu) return run(a);
  const double sum = a.clip.square_sum->template data<double>()[0];
  if (!std::isfinite(sum)) return;
  Args clipped = a;
  clipped.grad_scale = clipped_scale(sum, a.grad_scale, a.clip.most);
  clipped.clip = {};
  run(clipped);
}

}  // namespace lorikeet
