/// AdamW over named parameters: two moments each, one step count for all.
#include "core/optim/adamw.h"

#include <map>

#include "core/base/error.h"
#include "core/base/scratch_file.h"
#include "core/ops/adamw8bit_update.h"
#include "core/ops/adamw_update.h"

namespace lorikeet {
namespace {

constexpr int64_t kLeastCoded = 4096;  // elements from which moments are held in 8 bits

/// The state of one parameter. The maxima are undefined where the moments are f32.
struct Moments {
  Tensor first, second, first_absmax, second_absmax;
  bool coded() const { return first_absmax.defined(); }
};
/// Order and names of the state in a checkpoint.
struct Part { const char* prefix; Tensor Moments::*tensor; };
constexpr Part kParts[] = {{"exp_avg.", &Moments::first},
                           {"exp_avg_absmax.", &Moments::first_absmax},
                           {"exp_avg_sq.", &Moments::second},
                           {"exp_avg_sq_absmax.", &Moments::second_absmax}};

/// What all parameters of a step share.
struct Rates {
  double learning_rate, grad_scale;
  DeviceClip clip;
};

int64_t blocks_of(int64_t elements) { return (elements + kMomentBlock - 1) / kMomentBlock; }

/// Gives out zeroed state: tensors of their own, or pieces of one mapped file.
class StateMemory {
 public:
  StateMemory() = default;
  StateMemory(const std::string& folder, uint64_t bytes) : file_(std::make_shared<ScratchFile>(folder, bytes)) {}
  Tensor zeros(const Shape& shape, DType dtype, DeviceType device) {
    if (!file_) return Tensor::zeros(shape, dtype, device);
    char* at = static_cast<char*>(file_->data()) + used_;
    Tensor t = Tensor::borrow(at, shape, dtype, file_);
    used_ += room(t.bytes());
    return t;
  }
  void expect(const Moments& m) const { tell(m, &ScratchFile::expect); }
  void rest(const Moments& m) const { tell(m, &ScratchFile::rest); }
  /// What a tensor takes of the file: pieces begin at multiples of 64 bytes.
  static uint64_t room(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

 private:
  void tell(const Moments& m, void (ScratchFile::*what)(const void*, size_t) const) const {
    if (!file_) return;
    for (const Part& part : kParts)
      if (const Tensor& t = m.*part.tensor; t.defined() && t.bytes() > 0) ((*file_).*what)(t.raw(), t.bytes());
  }
  std::shared_ptr<ScratchFile> file_;
  uint64_t used_ = 0;
};

class Adamw final : public Optimizer {
 public:
  Adamw(std::vector<NamedParameter> parameters, const OptimizerOptions& options, bool coded, bool paged)
      : parameters_(std::move(parameters)), options_(options) {
    if (paged) memory_ = StateMemory(options.folder, file_bytes(coded));
    for (const NamedParameter& p : parameters_) moments_.push_back(zero_moments(p.var->value, coded));
  }

  void step(Context& cx, double learning_rate, double grad_scale, const DeviceClip& clip) override {
    ++steps_;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      if (i + 1 < parameters_.size()) memory_.expect(moments_[i + 1]);
      VarNode& var = *parameters_[i].var;
      const Tensor grad = var.grad.defined() ? var.grad : Tensor::zeros(var.value.shape(), var.value.dtype(), var.value.device());
      update(cx, var.value, grad, moments_[i], {learning_rate, grad_scale, clip});
      memory_.rest(moments_[i]);
    }
  }

  uint64_t state_bytes() const override {
    uint64_t bytes = 0;
    for (const auto& [name, tensor] : state()) bytes += tensor.bytes();
    return bytes;
  }

  std::vector<std::pair<std::string, Tensor>> state() const override {
    std::vector<std::pair<std::string, Tensor>> out;
    for (const Part& part : kParts)
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

  /// A paged state lies on the host: for a device it is sent there for its update and fetched again.
  void update(Context& cx, Tensor& value, const Tensor& grad, Moments& m, const Rates& rates) const {
    const DeviceType device = value.device();
    if (m.first.device() == device) return update_here(cx, value, grad, m, rates);
    Moments there;
    for (const Part& part : kParts)
      if (const Tensor& t = m.*part.tensor; t.defined()) there.*part.tensor = t.on(device);
    update_here(cx, value, grad, there, rates);
    for (const Part& part : kParts)
      if (Tensor& t = m.*part.tensor; t.defined()) t.copy_from(there.*part.tensor);
  }

  void update_here(Context& cx, Tensor& value, const Tensor& grad, Moments& m, const Rates& rates) const {
    if (m.coded())
      adamw8bit_update(cx, {.p = value,
                            .g = grad,
                            .m_codes = m.first,
                            .v_codes = m.second,
                            .m_absmax = m.first_absmax,
                            .v_absmax = m.second_absmax,
                            .grad_scale = rates.grad_scale,
                            .learning_rate = rates.learning_rate,
                            .beta1 = options_.beta1,
                            .beta2 = options_.beta2,
                            .eps = options_.eps,
                            .weight_decay = options_.weight_decay,
                            .step = steps_,
                            .clip = rates.clip});
    else
      adamw_update(cx, {.p = value,
                        .g = grad,
                        .m = m.first,
                        .v = m.second,
                        .grad_scale = rates.grad_scale,
                        .learning_rate = rates.learning_rate,
                        .beta1 = options_.beta1,
                        .beta2 = options_.beta2,
                        .eps = options_.eps,
                        .weight_decay = options_.weight_decay,
                        .step = steps_,
                        .clip = rates.clip});
  }

  std::vector<NamedParameter> parameters_;
  OptimizerOptions options_;
  StateMemory memory_;
  std::vector<Moments> moments_;
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
