#include "core/train/device_step.h"

#include <algorithm>
#include <bit>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/nn/head_loss.h"
#include "core/ops/elementwise.h"

namespace lorikeet {
namespace {

// Below it a layer takes a fast card less time than starting its kernels one by one takes the host.
constexpr double kLayerFlops = 1e11;
constexpr size_t kMostRecorded = 32;
constexpr int64_t kSmallPass = 512;  // tokens: models whose passes of that size are not recorded gain nothing by the rest
constexpr int64_t kGradientAlign = 64, kIndexAlign = 4;  // elements; 256 and 16 bytes

int64_t rounded_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }
/// One of at most `parts` sizes between a power of two and the next.
int64_t common_size(int64_t n, int64_t parts, int64_t least) {
  const auto power = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(std::max<int64_t>(1, n))));
  return rounded_up(n, std::max(least, power / parts));
}

/// Adds its numbers to those that are sent together; returns where they begin.
int64_t append(std::vector<int32_t>& all, const std::vector<int32_t>& values, int64_t count, int32_t fill) {
  const auto at = static_cast<int64_t>(all.size());
  all.insert(all.end(), values.begin(), values.end());
  all.resize(static_cast<size_t>(at + rounded_up(count, kIndexAlign)), fill);
  return at;
}

}  // namespace

DeviceStep::DeviceStep(Context& cx, Model& model, const std::vector<NamedParameter>& parameters, CheckpointPolicy policy, bool record)
    : cx_(cx), model_(model), parameters_(parameters), policy_(policy), record_(record && policy != CheckpointPolicy::offload && model.weight_bytes(DeviceType::cpu) == 0) {
  for (const Linear* l : model.linears())
    layer_weights_ += static_cast<double>(l->out_features() * l->in_features()) / static_cast<double>(std::max<int64_t>(1, model.config().layers));
  int64_t elements = 0;
  each_parameter([&](const NamedParameter& p, int64_t at) { elements = at + p.var->value.size(); });
  gradients_ = cx.empty({elements});
  sums_ = Tensor::zeros({2}, DType::f64, cx.device());
  loss_ = sums_.slice(0, 1);
  squares_ = sums_.slice(1, 2);
  if (!record_ || !launch_bound(kSmallPass) || cx.unit().compute == ComputeType::f32) return;
  values_ = Tensor::zeros({elements}, DType::f32, cx.device());
  rows_ = cx.empty({elements}, row_type(cx.unit().compute));
  each_parameter([&](const NamedParameter& p, int64_t at) {
    Tensor here = part(values_, p, at);
    here.copy_from(p.var->value);
    p.var->value = here;
  });
}

template <class F>
void DeviceStep::each_parameter(const F& f) const {
  int64_t at = 0;
  for (const NamedParameter& p : parameters_) {
    f(p, at);
    at += rounded_up(p.var->value.size(), kGradientAlign);
  }
}

Tensor DeviceStep::part(const Tensor& all, const NamedParameter& p, int64_t at) const { return all.slice(at, at + p.var->value.size()).reshaped(p.var->value.shape()); }

void DeviceStep::begin() {
  device_memory(cx_.device()).zero(gradients_.raw(), gradients_.bytes());
  device_memory(cx_.device()).zero(sums_.raw(), sums_.bytes());
  if (rows_.defined()) round_values(cx_, values_, rows_);
  each_parameter([&](const NamedParameter& p, int64_t at) {
    p.var->grad = part(gradients_, p, at);
    p.var->grad_shared = false;
    if (rows_.defined()) p.var->rows = part(rows_, p, at);
  });
}

std::vector<double> DeviceStep::sums() const {
  const Tensor here = sums_.on(DeviceType::cpu);
  return {here.data<double>()[0], here.data<double>()[1]};
}

bool DeviceStep::launch_bound(int64_t tokens) const { return 4 * layer_weights_ * static_cast<double>(tokens) < kLayerFlops; }

void DeviceStep::add(const TokenBatch& batch, double loss_scale, uint64_t dropout_seed) {
  const Targets targets = target_rows(batch);
  if (targets.count() == 0) return;  // nothing to learn from: its forward pass would change nothing
  check_batch(batch, model_.config().vocab_size);
  check_targets(targets, batch.tokens(), model_.head().rows());
  const bool whole = record_ && launch_bound(batch.tokens());
  TokenBatch filled = batch;
  if (whole) filled = filled_up(batch, common_size(batch.tokens(), 32, 16), static_cast<int64_t>(std::bit_ceil(batch.document_starts.size())));
  const Pass pass = sent(std::move(filled), targets, whole ? common_size(targets.count(), 8, 16) : targets.count(), loss_scale, dropout_seed);
  if (!whole) return run(pass);
  const TokenBatch& b = pass.batch;
  run_recorded({b.tokens(), static_cast<int64_t>(b.document_starts.size()), pass.targets.rows.size(), *std::max_element(b.positions.begin(), b.positions.end()) / 256, loss_scale}, pass);
}

/// All the numbers of a pass by one copy, each at a place that depends on the pass's shape alone.
DeviceStep::Pass DeviceStep::sent(TokenBatch batch, const Targets& targets, int64_t places, double loss_scale, uint64_t dropout_seed) {
  std::vector<int32_t> all;
  const int64_t tokens = batch.tokens(), starts = static_cast<int64_t>(batch.document_starts.size());
  const int64_t at[] = {append(all, batch.ids, tokens, 0), append(all, batch.positions, tokens, 0), append(all, batch.document_starts, starts, 0), append(all, targets.rows, places, -1),
                        append(all, targets.targets, places, -1),
                        append(all, {static_cast<int32_t>(dropout_seed), static_cast<int32_t>(dropout_seed >> 32)}, 2, 0)};
  const auto size = static_cast<int64_t>(all.size());
  if (!indices_.defined() || indices_.size() < size) {
    recorded_.clear();  // they look for their indices where these lay
    indices_ = cx_.empty({2 * size}, DType::i32);
  }
  indices_.slice(0, size).copy_from(Tensor::borrow(all.data(), {size}, DType::i32, nullptr));
  const auto part = [&](int i, int64_t count) { return indices_.slice(at[i], at[i] + count); };
  return {std::move(batch), {part(0, tokens), part(1, tokens), part(2, starts), part(5, 2)}, {part(3, places), part(4, places)}, loss_scale};
}

void DeviceStep::run(const Pass& pass) {
  const LifetimeScope scope(cx_.device(), Lifetime::step);
  Tape tape(cx_, true);
  Var hidden = model_.forward(tape, pass.batch, {.policy = policy_, .training = true, .there = &pass.there});
  Tensor value = hidden->value;
  Tape::forget(hidden);
  tape.backward(hidden, head_gradient(cx_, model_.head(), std::move(value), pass.targets, pass.loss_scale, loss_));
}

void DeviceStep::run_recorded(const PassShape& shape, const Pass& pass) {
  const auto at = recorded_.find(shape);
  if (at == recorded_.end()) {  // its first pass asks for scratch and chooses how to multiply
    run(pass);
    if (recorded_.size() >= kMostRecorded) drop_oldest();
    recorded_[shape].last_use = ++uses_;
    return;
  }
  Recorded& r = at->second;
  r.last_use = ++uses_;
  if (!r.work) try {
      r.work = device_memory(cx_.device()).record([&] { run(pass); });
      r.scratch = cx_.hold_scratch();
    } catch (const UnsupportedError& e) {
      log_warning(std::string("steps are given to the device kernel by kernel: ") + e.what());
      record_ = false;
      return run(pass);
    }
  r.work->run();
  ++repeated_;
}

void DeviceStep::drop_oldest() {
  const auto oldest = std::min_element(recorded_.begin(), recorded_.end(), [](const auto& a, const auto& b) { return a.second.last_use < b.second.last_use; });
  if (oldest != recorded_.end()) recorded_.erase(oldest);
}

}  // namespace lorikeet
