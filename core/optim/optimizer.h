/// Optimizers over named f32 parameters. To add one: write optim/<name>.cpp, add one line to optimizers.cpp.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/base/registry.h"
#include "core/methods/method.h"
#include "core/ops/device_clip.h"

namespace lorikeet {

struct OptimizerOptions {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
  std::string folder = {};   // of the file a paged optimizer keeps its state in
  uint64_t batch_bytes = 0;  // how much of that state moves together, at least 2^18; 0: as much as is best
};
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// One update from the gradients in the parameters' grad (missing grad = zero). Multiplies gradients by `grad_scale` first,
  /// and by the factor of `clip`, whose square sum is of the gradients before that: device_clip.h. Where the sum is not
  /// finite, parameters and state stay as they are.
  virtual void step(Context& cx, double learning_rate, double grad_scale, const DeviceClip& clip = {}) = 0;
  /// The last step changed nothing: it does not count.
  virtual void take_step_back() = 0;
  virtual uint64_t state_bytes() const = 0;
  /// The state was read from outside (a checkpoint was written) and will not be touched before the next step.
  virtual void rest() const {}
  /// Named state tensors ("exp_avg.<param>", "exp_avg_sq.<param>") and the step count, for checkpoints.
  virtual std::vector<std::pair<std::string, Tensor>> state() const = 0;
  virtual int64_t steps_done() const = 0;
  /// Throws RunError when a tensor is missing or has another shape.
  virtual void load_state(const std::vector<std::pair<std::string, Tensor>>& state, int64_t steps_done) = 0;
};
using OptimizerFactory = std::unique_ptr<Optimizer> (*)(std::vector<NamedParameter>, const OptimizerOptions&);
/// An entry of the list: how it is made, and what planning needs to know of it.
struct OptimizerKind {
  OptimizerFactory make;
  uint64_t (*state_bytes)(int64_t elements);  // of one f32 parameter of that size
  bool paged = false;                         // the state is a file of the run's folder, not memory
};
const Registry<OptimizerKind>& optimizers();  // adamw adamw8bit paged_adamw paged_adamw8bit
/// L2 norm over all gradients, summed in f64 in a fixed order.
double gradient_norm(Context& cx, const std::vector<NamedParameter>& parameters);
/// Its square, for `total` f64 [1] on the context's device; nothing is waited for.
void gradient_square_sum(Context& cx, const std::vector<NamedParameter>& parameters, Tensor& total);

}  // namespace lorikeet
