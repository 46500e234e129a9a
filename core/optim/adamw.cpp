/// AdamW over named parameters: two moments each, one step count for all.
#include "core/optim/adamw.h"

#include <deque>
#include <map>

#include "core/base/error.h"
#include "core/ops/adamw8bit_update.h"
#include "core/ops/adamw_update.h"
#include "core/optim/state_batches.h"

namespace lorikeet {
namespace {

constexpr int64_t kLeastCoded = 4096;  // elements from which moments are held in 8 bits

/// What all parameters of a step share.
struct Rates {
  double learning_rate, grad_scale;
  int64_t step;
  DeviceClip clip;
};

int64_t blocks_of(int64_t elements) { return (elements + kMomentBlock - 1) / kMomentBlock; }

/// Tensors that are updated together, and the lists of them that the two ops take.
class UpdateList {
 public:
  void add(Tensor value, Tensor grad, Moments state) {
    Entry& e = entries_.emplace_back(std::move(value), std::move(grad), std::move(state));
    Moments& m = e.state;
    if (m.coded()) coded_.push_back({e.value, e.grad, m.first, m.second, m.first_absmax, m.second_absmax});
    else plain_.push_back({e.value, e.grad, m.first, m.second});
  }
  void run(Context& cx, const OptimizerOptions& o, const Rates& r) const {
    if (!plain_.empty())
      adamw_update(cx, {.tensors = plain_,
                        .grad_scale = r.grad_scale,
                        .learning_rate = r.learning_rate,
                        .beta1 = o.beta1,
                        .beta2 = o.beta2,
                        .eps = o.eps,
                        .weight_decay = o.weight_decay,
                        .step = r.step,
                        .clip = r.clip});
    if (!coded_.empty())
      adamw8bit_update(cx, {.tensors = coded_,
                            .grad_scale = r.grad_scale,
                            .learning_rate = r.learning_rate,
                            .beta1 = o.beta1,
                            .beta2 = o.beta2,
                            .eps = o.eps,
                            .weight_decay = o.weight_decay,
                            .step = r.step,
                            .clip = r.clip});
  }

 private:
  struct Entry {
    Tensor value, grad;
    Moments state;
    Entry(Tensor v, Tensor g, Moments m) : value(std::move(v)), grad(std::move(g)), state(std::move(m)) {}
  };
  std::deque<Entry> entries_;  // stay where they are
  std::vector<AdamwTensors> plain_;
  std::vector<Adamw8bitTensors> coded_;
};

class Adamw final : public Optimizer {
 public:
  Adamw(std::vector<NamedParameter> parameters, const OptimizerOptions& options, bool coded, bool paged)
      : parameters_(std::move(parameters)), options_(options) {
    if (paged) memory_ = StateMemory(options.folder, file_bytes(coded));
    for (const NamedParameter& p : parameters_) moments_.push_back(zero_moments(p.var->value, coded));
    if (paged) batches_ = options.batch_bytes > 0 ? state_batches(moments_, options.batch_bytes) : state_batches(moments_);
  }

  void step(Context& cx, double learning_rate, double grad_scale, const DeviceClip& clip) override {
    const Rates rates{learning_rate, grad_scale, steps_ + 1, clip};
    if (memory_.paged()) update_batches(cx, batches_, memory_, [&](const StateBatch& batch) { update(cx, batch, rates); });
    else update_all(cx, rates);
    ++steps_;
  }

  uint64_t state_bytes() const override {
    uint64_t bytes = 0;
    for (const auto& [name, tensor] : state()) bytes += tensor.bytes();
    return bytes;
  }

  std::vector<std::pair<std::string, Tensor>> state() const override {
    std::vector<std::pair<std::string, Tensor>> out;
    for (const MomentsPart& part : kMomentsParts)
      for (size_t i = 0; i < parameters_.size(); ++i)
        if (const Tensor& t = moments_[i].*part.tensor; t.defined()) out.emplace_back(part.prefix + parameters_[i].name, t);
    return out;
  }

  void take_step_back() override { --steps_; }
  int64_t steps_done() const override { return steps_; }
  void rest() const override {
    for (const Moments& m : moments_) memory_.rest(m);
  }

  void load_state(const std::vector<std::pair<std::string, Tensor>>& state, int64_t steps_done) override {
    if (steps_done < 0)
      throw RunError("optimizer state: " + std::to_string(steps_done) + " steps done is not possible");
    std::map<std::string, const Tensor*> by_name;
    for (const auto& [name, tensor] : state) by_name[name] = &tensor;
    // Looked up before anything is copied, so that a refused state leaves the optimizer as it was.
    std::vector<std::pair<Tensor, const Tensor*>> found;
    for (const auto& [name, mine] : this->state()) {
      const auto it = by_name.find(name);
      if (it == by_name.end()) throw RunError("optimizer state: tensor " + name + " is missing");
      if (it->second->shape() != mine.shape() || it->second->dtype() != mine.dtype())
        throw RunError("optimizer state: tensor " + name + " is " + to_string(it->second->shape()) + " " +
                       std::string(dtype_name(it->second->dtype())) + "; wanted " + to_string(mine.shape()) + " " +
                       std::string(dtype_name(mine.dtype())));
      found.emplace_back(mine, it->second);
    }
    for (auto& [mine, theirs] : found) mine.copy_from(*theirs);
    rest();
    steps_ = steps_done;
  }

 private:
  static bool is_coded(const Tensor& value, bool coded) { return coded && value.dtype() == DType::f32 && value.size() >= kLeastCoded; }

  Moments zero_moments(const Tensor& value, bool coded) {
    Moments m;
    const DType dtype = is_coded(value, coded) ? DType::u8 : value.dtype();
    const DeviceType device = value.device();
    m.first = memory_.zeros(value.shape(), dtype, device);
    m.second = memory_.zeros(value.shape(), dtype, device);
    if (!is_coded(value, coded)) return m;
    m.first_absmax = memory_.zeros({blocks_of(value.size())}, DType::f32, device);
    m.second_absmax = memory_.zeros({blocks_of(value.size())}, DType::f32, device);
    return m;
  }

  uint64_t file_bytes(bool coded) const {
    uint64_t bytes = 0;
    for (const NamedParameter& p : parameters_) {
      const Tensor& value = p.var->value;
      const auto elements = static_cast<uint64_t>(value.size());
      if (is_coded(value, coded))
        bytes += 2 * (StateMemory::room(elements) + StateMemory::room(4 * static_cast<uint64_t>(blocks_of(value.size()))));
      else
        bytes += 2 * StateMemory::room(elements * dtype_bytes(value.dtype()));
    }
    return bytes;
  }

  void update_all(Context& cx, const Rates& rates) {
    UpdateList list;
    for (size_t i = 0; i < parameters_.size(); ++i) list.add(parameters_[i].var->value, gradient(i), moments_[i]);
    list.run(cx, options_, rates);
  }

  void update(Context& cx, const StateBatch& batch, const Rates& rates) const {
    UpdateList list;
    for (const StatePiece& piece : batch) {
      const Tensor& value = parameters_[piece.parameter].var->value;
      const auto part = [&](const Tensor& t) { return t.reshaped({t.size()}).slice(piece.begin, piece.end); };
      list.add(part(value), part(gradient(piece.parameter)), piece.state);
    }
    list.run(cx, options_, rates);
  }

  /// Zeros where there is none.
  Tensor gradient(size_t parameter) const {
    const VarNode& var = *parameters_[parameter].var;
    if (!var.grad.defined()) return Tensor::zeros(var.value.shape(), var.value.dtype(), var.value.device());
    if (var.grad.shape() != var.value.shape())
      throw ShapeError("optimizer: the gradient of " + parameters_[parameter].name + " is " + to_string(var.grad.shape()) + "; wanted " + to_string(var.value.shape()));
    return var.grad;
  }

  std::vector<NamedParameter> parameters_;
  OptimizerOptions options_;
  StateMemory memory_;
  std::vector<Moments> moments_;
  std::vector<StateBatch> batches_;  // of a paged state
  int64_t steps_ = 0;
};

}  // namespace

std::unique_ptr<Optimizer> make_adamw(std::vector<NamedParameter> parameters, const OptimizerOptions& options) {
  return std::make_unique<Adamw>(std::move(parameters), options, false, false);
}
std::unique_ptr<Optimizer> make_adamw8bit(std::vector<NamedParameter> parameters, const OptimizerOptions& options) {
  return std::make_unique<Adamw>(std::move(parameters), options, true, false);
}
std::unique_ptr<Optimizer> make_paged_adamw(std::vector<NamedParameter> parameters, const OptimizerOptions& options) {
  return std::make_unique<Adamw>(std::move(parameters), options, false, true);
}
std::unique_ptr<Optimizer> make_paged_adamw8bit(std::vector<NamedParameter> parameters, const OptimizerOptions& options) {
  return std::make_unique<Adamw>(std::move(parameters), options, true, true);
}

uint64_t adamw_state_bytes(int64_t elements) { return 8 * static_cast<uint64_t>(elements); }
uint64_t adamw8bit_state_bytes(int64_t elements) {
  if (elements < kLeastCoded) return adamw_state_bytes(elements);
  return 2 * static_cast<uint64_t>(elements) + 8 * static_cast<uint64_t>(blocks_of(elements));
}

}  // namespace lorikeet
