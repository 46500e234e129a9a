#include "core/run/detail/build_plan.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/files.h"
#include "core/base/scratch_file.h"
#include "core/base/system.h"
#include "core/base/text.h"
#include "core/base/threads.h"
#include "core/methods/method.h"
#include "core/ops/expanded_weight.h"
#include "core/run/detail/gpu_estimate.h"
#include "core/run/detail/memory_estimate.h"
#include "core/run/detail/plan_findings.h"
#include "core/run/detail/run_setup.h"
#include "core/run/detail/throughput.h"
#include "core/run/queries.h"
#include "core/tensor/cpu_level.h"
#include "core/tensor/device_memory.h"

namespace lorikeet::detail {
namespace {

uint64_t encoded_bytes(const DataFacts& d) {
  uint64_t bytes = 0;
  for (const auto* set : {&d.train, &d.validation})
    for (const DocumentSize& s : *set) bytes += static_cast<uint64_t>(s.tokens) * 8 + sizeof(EncodedSample) + 64;  // ids, labels, two blocks
  return static_cast<uint64_t>(static_cast<double>(bytes) * d.scale()) + d.text_bytes;
}

void choose_policy(Plan& p, const RunConfig& c, MemoryQuestion& q) {
  const auto ask = [&](CheckpointPolicy policy) {
    q.policy = policy;
    p.bytes = device_of(c.device.kind) == DeviceType::cpu ? estimate_memory(q) : estimate_gpu_memory(q);
    p.policy = checkpoint_policy_name(policy);
    p.fits = p.bytes.total <= p.available_bytes;
  };
  if (c.training.checkpointing != "auto") return ask(checkpoint_policy_from_name(c.training.checkpointing));
  // From the fastest on. Making norms and SwiGLU again costs under one part in a hundred of a step and saves a third of
  // the activations: keeping them is never chosen for its own sake.
  for (const CheckpointPolicy policy : {CheckpointPolicy::norms_swiglu, CheckpointPolicy::mlp, CheckpointPolicy::full, CheckpointPolicy::offload}) {
    if (policy == CheckpointPolicy::offload && device_of(c.device.kind) == DeviceType::cpu) return;
    ask(policy);
    if (p.fits) return;
  }
}

/// Panels are kept where decoding would be over a fifth of the linear layers' work and they take no more than a quarter
/// of what is free.
void choose_panels(Plan& p, const RunConfig& c, const ModelFacts& model, const BatchFacts& batches) {
  const CpuUnit unit(cpu_level(), compute_type_of(c));
  if (device_of(c.device.kind) != DeviceType::cpu || !p.fits || std::max<int64_t>(batches.most_tokens, 1) > most_tokens_to_expand(unit)) return;
  uint64_t panels = 0;
  for (const LinearShape& s : linear_shapes(model.config)) panels += ExpandedWeight::panel_bytes(unit, s.rows, s.columns);
  if (panels > (p.available_bytes - p.bytes.total) / 4) return;
  p.expanded = true;
  p.bytes.weights += panels;
  p.bytes.total += panels;
}

void add_time(Plan& p, const RunConfig& c, const ModelFacts& model, const BatchFacts& b, const Card* card) {
  const auto measured = card ? std::nullopt : measured_tokens_per_s(c, model, p.policy);
  p.seconds_measured = measured.has_value();
  const double rate = measured ? *measured : estimated_tokens_per_s(c, model, b, p.policy, card);
  // Evaluation is a forward pass alone: about a third of the work of a step.
  const int64_t every = c.training.eval_every > 0 ? c.training.eval_every : std::max<int64_t>(1, (b.steps + 9) / 10);
  const double evaluations = static_cast<double>(b.steps / every + (b.steps % every != 0));
  const double work = static_cast<double>(b.total_tokens) + evaluations * static_cast<double>(b.eval_tokens) / 3;
  p.timed_tokens = work;
  p.seconds = rate > 0 ? work / rate : 0;
}

void add_disk(Plan& p, const RunConfig& c, uint64_t state_bytes) {
  const std::string folder = c.run.folder.empty() ? default_runs_folder() : c.run.folder;
  // The checkpoints kept, the one being written before an older one goes, and the adapter beside them.
  p.disk_bytes = static_cast<uint64_t>(c.training.keep_checkpoints + 1) * checkpoint_bytes(p.trainable_parameters, state_bytes) +
                 static_cast<uint64_t>(p.trainable_parameters) * 4 + static_cast<uint64_t>(p.steps) * 320;
  if (optimizer_kind(c).paged) p.paged_bytes = state_bytes;
  p.disk_bytes += p.paged_bytes;
  if (p.paged_bytes > 0 && is_kept_in_memory(folder))
    p.findings.push_back(finding("warning", "run.folder", "The runs folder is kept in memory by the system: a paged optimizer saves no memory there."));
  p.disk_free_bytes = free_disk_bytes(folder);
}

/// Memory a run may use: what the device can give, or device.memory_limit when that is less.
uint64_t memory_for(const RunConfig& c, const Card* card) {
  const DeviceType device = device_of(c.device.kind);
  uint64_t most = 0;
  if (card) most = card->usable_bytes();
  else if (device == DeviceType::cpu) most = available_memory_bytes() + resident_bytes();  // what this process holds already will be used again or counts as its base
  else if (device_problem(c.device.kind).empty()) most = device_memory(device).free_bytes() + device_memory(device).statistics().reserved_bytes;
  return c.device.memory_limit > 0 ? std::min(most, static_cast<uint64_t>(c.device.memory_limit)) : most;
}

std::string device_text(const RunConfig& c, const Card* card) {
  const DeviceType device = device_of(c.device.kind);
  if (card) return fmt::format("{}, not this machine's", card->name);
  if (device == DeviceType::cpu) return fmt::format("CPU, {}, {} thread{}", cpu_level_name(cpu_level()), c.device.threads, c.device.threads == 1 ? "" : "s");
  return device_problem(c.device.kind).empty() ? device_memory(device).name() : "no GPU";
}

}  // namespace

void fill_plan(Plan& p, const RunConfig& given_config, const RunConfig& given, const ModelFacts& model, const DataFacts* data, const Card* card) {
  RunConfig c = given_config;
  resolve_threads(c);
  const AdapterSpec spec = adapter_spec_of(c, model.base_name);
  const Method* method = methods().get(c.adapter.method);
  const auto shapes = linear_shapes(model.config);
  const WeightSize weights = weight_size(c, model);
  p.model_parameters = model.config.parameter_count();
  p.trainable_parameters = method->parameter_count(shapes, spec);
  p.bits_per_weight = weights.bits_per_weight;
  p.available_bytes = memory_for(c, card);
  p.device = device_text(c, card);
  p.model_text = fmt::format("{}, {:.0f}M parameters, context {}", model.config.architecture, static_cast<double>(p.model_parameters) / 1e6, model.config.max_positions);
  add_model_findings(p.findings, given, model);
  if (c.adapter.from.empty()) add_idle_name_findings(p.findings, shapes, spec);
  BatchFacts batches;
  if (data && !data->train.empty()) batches = batch_facts(*data, c);
  if (data) {
    p.samples = data->samples;
    p.longest = data->longest;
    p.truncated = data->truncated;
    p.steps = batches.steps;
    p.rows = batches.rows;
    p.fill = batches.fill;
    p.total_tokens = batches.total_tokens;
    p.target_tokens = batches.total_targets;
    p.data_text = fmt::format("{} samples ({}), {} held out, {} rows", data->samples, data->format, data->validation_samples, batches.rows);
    add_data_findings(p.findings, c, model.config.max_positions, *data, batches);
  } else {
    // Without the data: one full row a micro-batch, every token a target.
    batches.most_tokens = batches.most_targets = c.data.max_length * c.training.batch_size;
    batches.longest_document = c.data.max_length;
  }
  MemoryQuestion q{.config = c, .model = model, .batches = batches, .trainable = p.trainable_parameters, .adapted = method->matched(shapes, spec),
                   .data_bytes = data ? encoded_bytes(*data) : 0, .policy = CheckpointPolicy::none};
  choose_policy(p, c, q);
  choose_panels(p, c, model, batches);
  if (p.steps > 0) add_time(p, c, model, batches, card);
  add_disk(p, c, optimizer_state_bytes(q));
  if (card || device_problem(c.device.kind).empty()) add_memory_findings(p.findings, c, p);  // without the device that is said, and enough
  add_disk_findings(p.findings, p, c.training.keep_checkpoints);
}

}  // namespace lorikeet::detail
