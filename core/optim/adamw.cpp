/// AdamW over named parameters: two moments each, one step count for all.
#include "core/optim/adamw.h"

#include <map>

#include "core/base/error.h"
#include "core/ops/adamw_update.h"

namespace lorikeet {
namespace {

constexpr const char* kFirst = "exp_avg.";
constexpr const char* kSecond = "exp_avg_sq.";

class Adamw final : public Optimizer {
 public:
  Adamw(std::vector<NamedParameter> parameters, const OptimizerOptions& options)
      : parameters_(std::move(parameters)), options_(options) {
    for (const NamedParameter& p : parameters_) {
      first_.push_back(Tensor::zeros(p.var->value.shape(), p.var->value.dtype()));
      second_.push_back(Tensor::zeros(p.var->value.shape(), p.var->value.dtype()));
    }
  }

  void step(Context& cx, double learning_rate, double grad_scale) override {
    ++steps_;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      VarNode& var = *parameters_[i].var;
      const Tensor grad = var.grad.defined() ? var.grad : Tensor::zeros(var.value.shape(), var.value.dtype());
      adamw_update(cx, {.p = var.value,
                        .g = grad,
                        .m = first_[i],
                        .v = second_[i],
                        .grad_scale = grad_scale,
                        .learning_rate = learning_rate,
                        .beta1 = options_.beta1,
                        .beta2 = options_.beta2,
                        .eps = options_.eps,
                        .weight_decay = options_.weight_decay,
                        .step = steps_});
    }
  }

  uint64_t state_bytes() const override {
    uint64_t bytes = 0;
    for (const Tensor& t : first_) bytes += 2 * t.bytes();
    return bytes;
  }

  std::vector<std::pair<std::string, Tensor>> state() const override {
    std::vector<std::pair<std::string, Tensor>> out;
    for (size_t i = 0; i < parameters_.size(); ++i) out.emplace_back(kFirst + parameters_[i].name, first_[i]);
    for (size_t i = 0; i < parameters_.size(); ++i) out.emplace_back(kSecond + parameters_[i].name, second_[i]);
    return out;
  }

  int64_t steps_done() const override { return steps_; }

  void load_state(const std::vector<std::pair<std::string, Tensor>>& state, int64_t steps_done) override {
    if (steps_done < 0)
      throw RunError("optimizer state: " + std::to_string(steps_done) + " steps done is not possible");
    std::map<std::string, const Tensor*> by_name;
    for (const auto& [name, tensor] : state) by_name[name] = &tensor;
    // Looked up before anything is copied, so that a refused state leaves the optimizer as it was.
    std::vector<const Tensor*> found;
    for (const auto& [name, mine] : this->state()) {
      const auto it = by_name.find(name);
      if (it == by_name.end()) throw RunError("optimizer state: tensor " + name + " is missing");
      if (it->second->shape() != mine.shape() || it->second->dtype() != mine.dtype())
        throw RunError("optimizer state: tensor " + name + " is " + to_string(it->second->shape()) + " " +
                       std::string(dtype_name(it->second->dtype())) + "; wanted " + to_string(mine.shape()) + " " +
                       std::string(dtype_name(mine.dtype())));
      found.push_back(it->second);
    }
    for (size_t i = 0; i < first_.size(); ++i) {
      first_[i].copy_from(*found[i]);
      second_[i].copy_from(*found[first_.size() + i]);
    }
    steps_ = steps_done;
  }

 private:
  std::vector<NamedParameter> parameters_;
  OptimizerOptions options_;
  std::vector<Tensor> first_, second_;
  int64_t steps_ = 0;
};

}  // namespace

std::unique_ptr<Optimizer> make_adamw(std::vector<NamedParameter> parameters, const OptimizerOptions& options) {
  return std::make_unique<Adamw>(std::move(parameters), options);
}

}  // namespace lorikeet
