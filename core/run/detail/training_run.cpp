#include "core/run/detail/training_run.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/system.h"
#include "core/base/text.h"
#include "core/base/topology.h"
#include "core/io/adapter_files.h"
#include "core/methods/method.h"
#include "core/ops/expanded_weight.h"
#include "core/run/detail/device_trial.h"
#include "core/run/detail/run_setup.h"
#include "core/tensor/device_memory.h"
#include "core/tensor/host_arena.h"

namespace lorikeet::detail {
namespace {

constexpr int64_t kMostStepsBetweenSaves = 100;
constexpr double kSecondsBetweenSaves = 120;
constexpr int64_t kMostNonFiniteInARow = 3;

int64_t tenth_of(int64_t total) { return std::max<int64_t>(1, (total + 9) / 10); }
Json number_or_null(double v) { return std::isfinite(v) ? Json(v) : Json(); }
double number_or_nan(const Json& j, const char* key) {
  return j.contains(key) && j[key].is_number() ? j[key].get<double>() : std::numeric_limits<double>::quiet_NaN();
}
int64_t integer_of(const Json& j, const char* key) {
  if (!j.is_object() || !j.contains(key) || !j[key].is_number_integer()) throw RunError(fmt::format("the checkpoint's state.json has no number \"{}\"", key));
  return j[key].get<int64_t>();
}

/// Values of an adapter go into freshly attached parameters; names and shapes were chosen by the same spec unless someone
/// changed a file. Throws InputError naming `file`; `what` are the values.
void take_values(const std::vector<NamedParameter>& parameters, const std::vector<std::pair<std::string, Tensor>>& values, const std::string& file, const std::string& what) {
  std::map<std::string, const Tensor*> by_name;
  for (const auto& [name, t] : values) by_name[name] = &t;
  if (by_name.size() != parameters.size())
    throw InputError(file, what, fmt::format("has {} tensors, the settings give {}", by_name.size(), parameters.size()));
  for (const auto& p : parameters) {
    const auto it = by_name.find(p.name);
    if (it == by_name.end()) throw InputError(file, what, "lacks " + p.name);
    if (it->second->shape() != p.var->value.shape())
      throw InputError(file, what, fmt::format("{} has shape {}, the settings give {}", p.name, to_string(it->second->shape()), to_string(p.var->value.shape())));
  }
  for (const auto& p : parameters) {
    const Tensor& value = *by_name[p.name];
    p.var->value.copy_from(value.dtype() == p.var->value.dtype() ? value : value.to(p.var->value.dtype()));
  }
}

void take_adapter(const std::vector<NamedParameter>& parameters, const std::string& from, const ModelConfig& model) {
  AdapterFiles adapter = read_adapter(from);
  put_rows_in_hf_order(adapter, model, from);
  for (const std::string& warning : adapter.warnings) log_warning(from + ": " + warning);
  take_values(parameters, adapter.tensors, from, "adapter");
}

}  // namespace

Json counters_to_json(const TrainCounters& c) {
  return {{"tokens", c.tokens},
          {"target_tokens", c.target_tokens},
          {"evaluated_step", c.evaluated_step},
          {"non_finite_in_a_row", c.non_finite_in_a_row},
          {"last_loss", number_or_null(c.last_loss)},
          {"best_eval_loss", number_or_null(c.best_eval_loss)}};
}

TrainCounters counters_from_json(const Json& j) {
  TrainCounters c;
  c.tokens = integer_of(j, "tokens");
  c.target_tokens = integer_of(j, "target_tokens");
  c.evaluated_step = integer_of(j, "evaluated_step");
  c.non_finite_in_a_row = integer_of(j, "non_finite_in_a_row");
  c.last_loss = number_or_nan(j, "last_loss");
  c.best_eval_loss = number_or_nan(j, "best_eval_loss");
  return c;
}

int64_t eval_distance(const RunConfig& c, int64_t total) { return c.training.eval_every > 0 ? c.training.eval_every : tenth_of(total); }
int64_t save_distance(const RunConfig& c, int64_t total) {
  return c.training.save_every > 0 ? c.training.save_every : std::min(tenth_of(total), kMostStepsBetweenSaves);
}

struct TrainingRun::Machine {
  Context cx;
  std::unique_ptr<Model> model;
  AdapterSpec spec;
  std::vector<std::string> matched;
  std::vector<NamedParameter> parameters;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<Trainer> trainer;
  Machine(const RunConfig& c, const Topology& topology)
      : cx(static_cast<int>(c.device.threads), device_of(c.device.kind), c.device.pin_threads ? topology.pin_order() : std::vector<int>{}) {
    cx.set_compute(compute_type_of(c));
  }
};

TrainingRun::TrainingRun(RunFolder& folder, const RunConfig& config, const ModelFiles& files, TrainingData data, CheckpointPolicy policy, bool expanded, PauseGate& pause,
                         std::stop_token stop)
    : folder_(folder), config_(config), files_(files), data_(std::move(data)), policy_(policy), expanded_(expanded), pause_(pause),
      rows_(std::move(data_.train.documents), data_.train.samples, config, std::move(data_.to_come)),
      batches_(rows_, config, BatchPlan::kCountedEpochs, std::move(stop)), total_steps_(batches_.total_steps()), eval_every_(eval_distance(config, total_steps_)),
      save_every_(save_distance(config, total_steps_)) {
  schedule_.name = config.schedule.name;
  schedule_.peak = config.optimizer.learning_rate;
  schedule_.total_steps = total_steps_;
  schedule_.warmup_steps = warmup_length(config.schedule.warmup_steps, config.schedule.warmup_ratio, total_steps_);
  if (!data_.validation.documents.empty())
    validation_rows_ = evaluation_rows(data_.validation.documents, data_.validation.samples, config);
}

TrainingRun::~TrainingRun() = default;

void TrainingRun::load(bool fresh, std::stop_token stop, const JobEvents& events) {
  const Topology topology = read_topology();
  if (const DeviceType device = device_of(config_.device.kind); device != DeviceType::cpu) try_device(device);
  machine_ = std::make_unique<Machine>(config_, topology);
  Machine& m = *machine_;
  m.model = load_model(files_, m.cx, {.quantization = config_.quantization.format, .quant = quant_options_of(config_)}, stop,
                       [&](uint64_t done, uint64_t total) {
                         if (events.on_progress) events.on_progress({"loading the model", static_cast<double>(done), static_cast<double>(total)});
                       });
  if (expanded_)
    for (Linear* l : m.model->linears()) l->set_weight(std::make_shared<ExpandedWeight>(m.cx, l->shared_weight()));
  m.spec = adapter_spec_of(config_, files_.base_name());
  const Method* method = methods().get(config_.adapter.method);
  method->attach(*m.model, m.spec);
  for (Linear* l : m.model->linears())
    if (l->adapter()) m.matched.push_back(l->name());
  m.parameters = method->parameters(*m.model);
  if (fresh && !config_.adapter.from.empty()) take_adapter(m.parameters, config_.adapter.from, m.model->config());
  const auto& o = config_.optimizer;
  m.optimizer = optimizers().get(o.name).make(
      m.parameters, {.beta1 = o.beta1, .beta2 = o.beta2, .eps = o.eps, .weight_decay = o.weight_decay, .folder = folder_.path()});
  m.trainer = std::make_unique<Trainer>(m.cx, *m.model, m.parameters, *m.optimizer,
                                        TrainerOptions{.max_grad_norm = o.max_grad_norm,
                                                       .policy = policy_,
                                                       .seed = static_cast<uint64_t>(config_.training.seed),
                                                       .scale_loss = compute_type_of(config_) == ComputeType::f16});
  if (config_.device.numa_groups > 1 && m.cx.device() == DeviceType::cpu)
    m.trainer->use_groups(make_thread_groups(static_cast<int>(config_.device.numa_groups), m.cx, config_.device.pin_threads, topology));
}

int64_t TrainingRun::trainable_parameters() const {
  int64_t n = 0;
  for (const auto& p : machine_->parameters) n += p.var->value.size();
  return n;
}

void TrainingRun::begin(const JobEvents& events) {
  folder_.truncate_metrics(0);
  save(false, events);
}

void TrainingRun::restore(const CheckpointState& state, const JobEvents& events) {
  take_values(machine_->parameters, state.parameters, folder_.path() + "/run.json", fmt::format("against the checkpoint of step {}", state.step));
  machine_->optimizer->load_state(state.optimizer, integer_of(state.trainer, "optimizer_steps"));
  if (const Json scale = state.trainer.value("loss_scale", Json()); scale.is_object()) machine_->trainer->loss_scale().restore(number_or_nan(scale, "value"), integer_of(scale, "good_steps"));
  counters_ = counters_from_json(state.trainer);
  counters_.step = saved_step_ = state.step;
  const double epoch = number_or_nan(state.trainer, "epoch");
  epoch_ = std::isfinite(epoch) ? epoch : 0;
  saved_at_ = monotonic_seconds();
  folder_.truncate_metrics(static_cast<uint64_t>(integer_of(state.trainer, "metrics_bytes")));
  // A checkpoint on schedule is followed by its line, which was written after the bytes it counted.
  saved_on_schedule_ = state.trainer.value("scheduled", false);
  if (saved_on_schedule_) saved_line(events);
  // The program may have ended between the checkpoint and the adapter beside it.
  write_adapter(folder_.path() + "/adapter", machine_->spec, machine_->parameters, machine_->matched);
}

bool TrainingRun::eval_due() const {
  return !validation_rows_.empty() && counters_.step > 0 && (counters_.step % eval_every_ == 0 || counters_.step == total_steps_);
}

bool TrainingRun::save_due() const {
  return counters_.step > 0 && (counters_.step % save_every_ == 0 || counters_.step == total_steps_);
}

LoopEnd TrainingRun::loop(std::stop_token stop, const JobEvents& events, int64_t limit) {
  const int64_t end = limit > 0 ? std::min(total_steps_, counters_.step + limit) : total_steps_;
  try {
    // After a restore: what belongs to the step reached but was cut off (an evaluation that was stopped).
    bool open = close_step(stop, events);
    while (open && counters_.step < end && !stop.stop_requested()) {
      wait_while_paused(stop, events);
      if (stop.stop_requested()) break;
      one_step(stop, events);
      open = close_step(stop, events);
    }
    if (open && counters_.step == total_steps_) return LoopEnd::finished;
  } catch (const Interrupted&) {  // inside a step: nothing of it was applied
  }
  if (saved_step_ != counters_.step) save(false, events);
  return stop.stop_requested() || counters_.step < end ? LoopEnd::stopped : LoopEnd::paused_at_limit;
}

void TrainingRun::one_step(std::stop_token stop, const JobEvents& events) {
  const int64_t k = counters_.step;
  const double rate = learning_rate(schedule_, k), began = monotonic_seconds();
  arena_reset_peak();
  if (const DeviceType device = machine_->cx.device(); device != DeviceType::cpu) device_memory(device).reset_peak();
  std::vector<TokenBatch> batches;
  for (const auto& rows : batches_.rows_of_step(k, stop)) batches.push_back(rows_.collate(rows));
  const StepResult r = machine_->trainer->train_step(batches, rate, k, stop);
  const double seconds = monotonic_seconds() - began;
  counters_.step = k + 1;
  epoch_ = batches_.epochs_after(counters_.step);
  counters_.tokens += r.tokens;
  counters_.target_tokens += r.target_tokens;
  counters_.last_loss = r.loss;
  counters_.non_finite_in_a_row = r.finite ? 0 : counters_.non_finite_in_a_row + 1;
  session_seconds_ += seconds;
  session_tokens_ += r.tokens;
  ++session_steps_;
  step_seconds_ = step_seconds_ > 0 ? 0.9 * step_seconds_ + 0.1 * seconds : seconds;
  report(r, rate, seconds, events);
  if (!r.finite) note_non_finite(r, events);
}

void TrainingRun::report(const StepResult& r, double rate, double seconds, const JobEvents& events) {
  StepReport s;
  s.step = counters_.step;
  s.total_steps = total_steps_;
  s.epoch = epoch_;
  s.loss = r.loss;
  s.learning_rate = rate;
  s.grad_norm = r.grad_norm;
  s.tokens = counters_.tokens;
  s.target_tokens = counters_.target_tokens;
  s.tokens_per_s = seconds > 0 ? static_cast<double>(r.tokens) / seconds : 0;
  s.step_ms = seconds * 1000;
  // On the CPU the tensors are the device's memory. The largest sum within the step.
  const DeviceType device = machine_->cx.device();
  s.device_bytes = device == DeviceType::cpu ? arena_statistics().peak_bytes : device_memory(device).statistics().peak_bytes;
  s.host_bytes = resident_bytes();
  s.time = wall_seconds();
  s.seconds_left = step_seconds_ * static_cast<double>(total_steps_ - counters_.step);
  peak_tensor_bytes_ = std::max(peak_tensor_bytes_, s.device_bytes);
  folder_.append_metrics({{"step", s.step},
                          {"epoch", s.epoch},
                          {"loss", number_or_null(s.loss)},
                          {"learning_rate", s.learning_rate},
                          {"grad_norm", number_or_null(s.grad_norm)},
                          {"tokens", s.tokens},
                          {"target_tokens", s.target_tokens},
                          {"tokens_per_s", s.tokens_per_s},
                          {"step_ms", s.step_ms},
                          {"device_bytes", s.device_bytes},
                          {"host_bytes", s.host_bytes},
                          {"time", s.time}});
  if (events.on_step) events.on_step(s);
}

void TrainingRun::note_non_finite(const StepResult& r, const JobEvents& events) {
  const bool in_loss = !std::isfinite(r.loss);
  const std::string text = fmt::format("The {} of step {} is not finite ({}); the update was not applied.", in_loss ? "loss" : "gradient norm",
                                       counters_.step, shortest(in_loss ? r.loss : r.grad_norm));
  folder_.append_metrics({{"step", counters_.step}, {"event", "non_finite"}, {"text", text}, {"time", wall_seconds()}});
  folder_.append_log(text);
  if (events.on_event) events.on_event({counters_.step, "non_finite", text});
  if (counters_.non_finite_in_a_row >= kMostNonFiniteInARow)
    throw RunError(fmt::format("{} steps in a row gave no finite loss or gradient, up to step {}; the checkpoint of step {} is good. Try a lower optimizer.learning_rate",
                               counters_.non_finite_in_a_row, counters_.step, saved_step_));
}

bool TrainingRun::close_step(std::stop_token stop, const JobEvents& events) {
  if (eval_due() && counters_.evaluated_step != counters_.step && !evaluate(stop, events)) return false;
  const bool saved = saved_step_ == counters_.step;
  if (save_due() && !(saved && saved_on_schedule_))
    save(true, events);  // again when a stop had saved this step before its evaluation was done
  else if (!saved && config_.training.save_every == 0 && monotonic_seconds() - saved_at_ > kSecondsBetweenSaves)
    save(false, events);
  return true;
}

bool TrainingRun::evaluate(std::stop_token stop, const JobEvents& events) {
  const double began = monotonic_seconds();
  const auto batch = static_cast<size_t>(config_.training.batch_size);
  double sum = 0;
  int64_t targets = 0;
  for (size_t row = 0; row < validation_rows_.size(); row += batch) {
    if (stop.stop_requested()) return false;
    if (events.on_progress) events.on_progress({"evaluating", static_cast<double>(row), static_cast<double>(validation_rows_.size())});
    const auto [loss, count] = machine_->trainer->evaluate(collate(data_.validation.documents, validation_rows_, row, std::min(batch, validation_rows_.size() - row)), stop);
    sum += loss;
    targets += count;
  }
  session_seconds_ += monotonic_seconds() - began;
  counters_.evaluated_step = counters_.step;
  EvalReport e;
  e.step = counters_.step;
  e.eval_loss = targets > 0 ? sum / static_cast<double>(targets) : std::numeric_limits<double>::quiet_NaN();
  e.eval_tokens = targets;
  e.time = wall_seconds();
  if (std::isfinite(e.eval_loss) && !(counters_.best_eval_loss <= e.eval_loss)) counters_.best_eval_loss = e.eval_loss;
  folder_.append_metrics({{"step", e.step}, {"eval_loss", number_or_null(e.eval_loss)}, {"eval_tokens", e.eval_tokens}, {"time", e.time}});
  if (events.on_eval) events.on_eval(e);
  return true;
}

void TrainingRun::save(bool scheduled, const JobEvents& events) {
  Machine& m = *machine_;
  CheckpointState state;
  state.step = counters_.step;
  state.trainer = counters_to_json(counters_);
  state.trainer["epoch"] = epoch_;
  state.trainer["optimizer_steps"] = m.optimizer->steps_done();
  if (const LossScale& scale = m.trainer->loss_scale(); scale.on()) state.trainer["loss_scale"] = {{"value", scale.value()}, {"good_steps", scale.good_steps()}};
  state.trainer["scheduled"] = scheduled;
  state.trainer["metrics_bytes"] = folder_.metrics_bytes();
  for (const auto& p : m.parameters) state.parameters.emplace_back(p.name, p.var->value.on(DeviceType::cpu));
  state.optimizer = m.optimizer->state();
  for (auto& [name, tensor] : state.optimizer) tensor = tensor.on(DeviceType::cpu);
  if (events.on_progress) events.on_progress({"saving", 0, 1});
  arena_trim();  // reading the files back must not come on top of the activations' unused pages
  folder_.save_checkpoint(state, config_.training.keep_checkpoints,
                          [&](const std::string& folder) { write_adapter(folder + "/adapter", m.spec, m.parameters, m.matched); });
  write_adapter(folder_.path() + "/adapter", m.spec, m.parameters, m.matched);
  m.optimizer->rest();
  saved_step_ = counters_.step;
  saved_on_schedule_ = scheduled;
  saved_at_ = monotonic_seconds();
  folder_.append_log(fmt::format("checkpoint saved at step {}", counters_.step));
  if (scheduled) saved_line(events);
  else if (events.on_event) events.on_event({counters_.step, "saved", fmt::format("checkpoint saved at step {}", counters_.step)});
}

/// Only checkpoints on schedule leave a line in the metrics: a run that was stopped or saved by the clock in between
/// must end with the same lines as one that was not.
void TrainingRun::saved_line(const JobEvents& events) {
  const std::string text = fmt::format("checkpoint saved at step {}", counters_.step);
  folder_.append_metrics({{"step", counters_.step}, {"event", "saved"}, {"text", text}, {"time", wall_seconds()}});
  if (events.on_event) events.on_event({counters_.step, "saved", text});
}

void TrainingRun::wait_while_paused(std::stop_token stop, const JobEvents& events) {
  if (!pause_.paused()) return;
  const auto note = [&](const char* event, const std::string& text) {
    folder_.append_log(text);
    if (events.on_event) events.on_event({counters_.step, event, text});
  };
  note("paused", fmt::format("paused after step {}", counters_.step));
  pause_.wait(stop);
  if (!stop.stop_requested()) note("resumed", fmt::format("went on after step {}", counters_.step));
}

}  // namespace lorikeet::detail
