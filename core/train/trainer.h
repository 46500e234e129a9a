/// The training step. train_step() lives in trainer.cpp and nowhere else.
/// Loss of an optimizer step = sum of token losses of all its rows / number of target tokens of all its rows.
#pragma once
#include <functional>
#include <stop_token>
#include <vector>

#include "core/models/model.h"
#include "core/train/device_step.h"
#include "core/train/loss_scale.h"
#include "core/train/thread_groups.h"
#include "core/optim/optimizer.h"

namespace lorikeet {

struct TrainerOptions {
  double max_grad_norm = 1;  // 0: no clipping
  CheckpointPolicy policy = CheckpointPolicy::none;
  uint64_t seed = 42;
  // On a device:
  bool record = true;       // see device_step.h
  bool scale_loss = false;  // rows of f16: see loss_scale.h
};
struct StepResult {
  double loss = 0;       // nats per target token
  double grad_norm = 0;  // before clipping
  int64_t tokens = 0, target_tokens = 0;
  bool finite = true;    // false: loss or gradient was not finite and the update was not applied
};
class Trainer {
 public:
  Trainer(Context& cx, Model& model, std::vector<NamedParameter> parameters, Optimizer& optimizer, TrainerOptions options);
  /// From now on the micro-batches of a step are dealt to these groups (micro-batch i to group i % groups), which work at
  /// the same time, each with gradients of its own; those are summed in the order of the groups. Loss and gradients are
  /// those of one group but for the order of that sum. `cx` goes on serving updates and evaluation.
  void use_groups(ThreadGroups groups);
  /// One optimizer step over its micro-batches. `step` (from 0) seeds dropout. Throws Interrupted, within an op of the
  /// forward or backward pass, when `stop` is set; the parameters are then unchanged. A step without any target token changes nothing either
  /// (target_tokens = 0, loss 0).
  StepResult train_step(const std::vector<TokenBatch>& micro_batches, double learning_rate, int64_t step, std::stop_token stop);
  /// A part of the run's state.
  LossScale& loss_scale() { return loss_scale_; }
  /// Passes that a device was given as a whole (device_step.h).
  int64_t repeated_passes() const { return device_step_ ? device_step_->repeated() : 0; }
  /// Sum of losses and number of targets without gradients. Throws Interrupted like train_step().
  std::pair<double, int64_t> evaluate(const TokenBatch& batch, std::stop_token stop = {});

 private:
  /// Forward and backward of one micro-batch; returns its summed loss, without gradients when that is not finite.
  double accumulate_gradients(Context& cx, const TokenBatch& batch, double gradient_scale, uint64_t dropout_seed, GradientStore* store);
  /// All micro-batches of a step; the sum of their losses, not finite as soon as one is not.
  double run_alone(const std::vector<TokenBatch>& micro_batches, double gradient_scale, int64_t step, const std::stop_token& stop);
  void step_on_device(const std::vector<TokenBatch>& micro_batches, double per_token, double learning_rate, int64_t step, const std::stop_token& stop, StepResult& result);
  void try_on_device(const std::vector<TokenBatch>& micro_batches, double per_token, double learning_rate, int64_t step, const std::stop_token& stop, StepResult& result);
  double run_groups(const std::vector<TokenBatch>& micro_batches, double gradient_scale, int64_t step, const std::stop_token& stop);
  void sum_gradients(std::vector<GradientStore>& stores);
  Context& cx_;
  Model& model_;
  std::vector<NamedParameter> parameters_;
  Optimizer& optimizer_;
  TrainerOptions options_;
  ThreadGroups groups_;
  std::unique_ptr<DeviceStep> device_step_;
  LossScale loss_scale_;
};

}  // namespace lorikeet
