/// train_step(): forward, loss, backward over the micro-batches of one optimizer step, clipping, update.
#include "core/train/trainer.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/nn/head_loss.h"
#include "core/ops/elementwise.h"

namespace lorikeet {
namespace {

/// One number for (run seed, step, micro-batch); the layers mix their names in (nn/linear.cpp).
uint64_t dropout_seed(uint64_t seed, int64_t step, size_t micro) {
  uint64_t x = seed;
  for (uint64_t part : {static_cast<uint64_t>(step), static_cast<uint64_t>(micro)})
    x = (x ^ part) * 0xD1342543DE82EF95ull + 1;
  return x;
}

/// Gradients live only inside a step: dropped at its end, however it ends.
class GradientScope {
 public:
  explicit GradientScope(const std::vector<NamedParameter>& parameters) : parameters_(parameters) { clear(); }
  ~GradientScope() { clear(); }
  GradientScope(const GradientScope&) = delete;
  GradientScope& operator=(const GradientScope&) = delete;

 private:
  void clear() {
    for (const NamedParameter& p : parameters_) {
      p.var->grad = Tensor();
      p.var->grad_shared = false;
      p.var->rows = Tensor();
    }
  }
  const std::vector<NamedParameter>& parameters_;
};

}  // namespace

Trainer::Trainer(Context& cx, Model& model, std::vector<NamedParameter> parameters, Optimizer& optimizer,
                 TrainerOptions options)
    : cx_(cx), model_(model), parameters_(std::move(parameters)), optimizer_(optimizer), options_(options), loss_scale_(options.scale_loss) {}

void Trainer::use_groups(ThreadGroups groups) { groups_ = std::move(groups); }

double Trainer::accumulate_gradients(Context& cx, const TokenBatch& batch, double gradient_scale, uint64_t seed, GradientStore* store) {
  const Targets targets = target_rows(batch);
  if (targets.count() == 0) return 0;  // nothing to learn from: its forward pass would change nothing
  Tape tape(cx, true, store);
  Var hidden = model_.forward(tape, batch, {.policy = options_.policy, .training = true, .dropout_seed = seed});
  Tensor value = hidden->value;
  Tape::forget(hidden);
  HeadLoss head = head_loss(cx, model_.head(), std::move(value), targets, true, gradient_scale);
  if (std::isfinite(head.loss_sum)) tape.backward(hidden, std::move(head.d_hidden));
  return head.loss_sum;
}

double Trainer::run_alone(const std::vector<TokenBatch>& micro_batches, double gradient_scale, int64_t step, const std::stop_token& stop) {
  double loss_sum = 0;
  for (size_t i = 0; i < micro_batches.size() && std::isfinite(loss_sum); ++i) {
    const StopScope stoppable(cx_.pool(), stop);
    loss_sum += accumulate_gradients(cx_, micro_batches[i], gradient_scale, dropout_seed(options_.seed, step, i), nullptr);
  }
  return loss_sum;
}

/// A gradient that is too large for f16 is no fault of the batch: the pass is done again with a smaller scale.
void Trainer::step_on_device(const std::vector<TokenBatch>& micro_batches, double per_token, double learning_rate, int64_t step, const std::stop_token& stop, StepResult& result) {
  if (!device_step_) device_step_ = std::make_unique<DeviceStep>(cx_, model_, parameters_, options_.policy, options_.record);
  const LossScale before = loss_scale_;
  do try_on_device(micro_batches, per_token, learning_rate, step, stop, result);
  while (!result.finite && std::isfinite(result.loss) && loss_scale_.lower());
  if (result.finite) loss_scale_.good_step();
  else loss_scale_ = before;  // no scale helps: the next step shall not begin with one under which gradients vanish
}

/// Loss and norm stay on the device until the update was given to it too: the host runs ahead, and waits once.
void Trainer::try_on_device(const std::vector<TokenBatch>& micro_batches, double per_token, double learning_rate, int64_t step, const std::stop_token& stop, StepResult& result) {
  device_step_->begin();
  for (size_t i = 0; i < micro_batches.size(); ++i) {
    if (stop.stop_requested()) throw Interrupted("the step was stopped");
    device_step_->add(micro_batches[i], loss_scale_.value(), dropout_seed(options_.seed, step, i));
  }
  const double grad_scale = per_token / loss_scale_.value();
  gradient_square_sum(cx_, parameters_, device_step_->squares());
  optimizer_.step(cx_, learning_rate, grad_scale, {.square_sum = &device_step_->squares(), .most = options_.max_grad_norm});
  const std::vector<double> sums = device_step_->sums();
  result.loss = sums[0] * per_token;
  result.grad_norm = std::sqrt(sums[1]) * grad_scale;
  result.finite = std::isfinite(result.grad_norm);
  if (!result.finite) optimizer_.take_step_back();
}

double Trainer::run_groups(const std::vector<TokenBatch>& micro_batches, double gradient_scale, int64_t step, const std::stop_token& stop) {
  std::vector<double> losses(micro_batches.size(), 0);
  std::vector<GradientStore> stores(groups_.size());
  for (GradientStore& store : stores)
    for (const NamedParameter& p : parameters_) store.emplace(p.var.get(), Tensor());
  run_in_groups(groups_, [&](size_t group, Context& cx) {
    const StopScope stoppable(cx.pool(), stop);
    for (size_t i = group; i < micro_batches.size(); i += groups_.size()) {
      losses[i] = accumulate_gradients(cx, micro_batches[i], gradient_scale, dropout_seed(options_.seed, step, i), &stores[group]);
      if (!std::isfinite(losses[i])) return;
    }
  });
  double loss_sum = 0;
  for (const double loss : losses) loss_sum += loss;
  if (std::isfinite(loss_sum)) sum_gradients(stores);
  return loss_sum;
}

void Trainer::sum_gradients(std::vector<GradientStore>& stores) {
  for (const NamedParameter& p : parameters_)
    for (GradientStore& store : stores) {
      Tensor& part = store[p.var.get()];
      if (!part.defined()) continue;
      if (p.var->grad.defined()) add(cx_, p.var->grad, part, p.var->grad);
      else p.var->grad = part;
      part = Tensor();
    }
}

StepResult Trainer::train_step(const std::vector<TokenBatch>& micro_batches, double learning_rate, int64_t step,
                               std::stop_token stop) {
  StepResult result;
  for (const TokenBatch& batch : micro_batches) {
    result.tokens += batch.tokens();
    result.target_tokens += batch.target_tokens();
  }
  if (result.target_tokens == 0) return result;
  const GradientScope scope(parameters_);
  const double per_token = 1.0 / static_cast<double>(result.target_tokens);
  if (cx_.device() != DeviceType::cpu) {
    step_on_device(micro_batches, per_token, learning_rate, step, stop, result);
    return result;
  }
  const double loss_sum = groups_.size() > 1 ? run_groups(micro_batches, per_token, step, stop) : run_alone(micro_batches, per_token, step, stop);
  result.loss = loss_sum * per_token;
  result.grad_norm = std::isfinite(loss_sum) ? gradient_norm(cx_, parameters_) : std::nan("");
  result.finite = std::isfinite(result.loss) && std::isfinite(result.grad_norm);
  if (!result.finite) return result;
  optimizer_.step(cx_, learning_rate, clip_factor(result.grad_norm, options_.max_grad_norm));
  return result;
}

std::pair<double, int64_t> Trainer::evaluate(const TokenBatch& batch, std::stop_token stop) {
  const Targets targets = target_rows(batch);
  if (targets.count() == 0) return {0, 0};
  const StopScope stoppable(cx_.pool(), std::move(stop));
  const LifetimeScope scope(cx_.device(), Lifetime::step);
  Tape tape(cx_, false);
  Var hidden = model_.forward(tape, batch, {});
  Tensor value = hidden->value;
  Tape::forget(hidden);
  return {head_loss(cx_, model_.head(), std::move(value), targets, false, 0).loss_sum, targets.count()};
}

}  // namespace lorikeet
