#include "core/run/detail/plan_findings.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/methods/target_match.h"
#include "core/optim/optimizer.h"
#include "core/run/detail/run_setup.h"
#include "core/tensor/cpu_level.h"
#include "core/tensor/device_memory.h"

namespace lorikeet::detail {
namespace {

/// Fewer optimizer steps than this rarely teach an adapter anything.
constexpr int64_t kFewSteps = 20;
/// Rates outside are seldom meant for LoRA (methods.md: papers use 1e-4 to 2e-4 for large models, small ones take more).
constexpr double kLowRate = 1e-6, kHighRate = 5e-3;
constexpr double kMuchTruncated = 0.1;

Finding with_fix(Finding f, std::string label, std::string key, Json value) {
  f.fix_label = std::move(label);
  f.fix_key = std::move(key);
  f.fix_value = std::move(value);
  return f;
}

/// How the linears of the file are stored, when all the same and quantised already.
std::string stored_quantised(const ModelFacts& m) {
  std::string seen;
  for (const LinearShape& s : linear_shapes(m.config)) {
    const auto it = std::find_if(m.tensors.begin(), m.tensors.end(), [&](const auto& t) { return t.name == s.name + ".weight"; });
    if (it == m.tensors.end()) continue;
    const std::string stored = to_lower_ascii(it->stored);
    if (stored == "f32" || stored == "f16" || stored == "bf16" || stored == "f64") return {};
    seen = it->stored;
  }
  return seen;
}

void add_quantisation_findings(std::vector<Finding>& out, const RunConfig& c, const ModelFacts& m) {
  const std::string stored = stored_quantised(m);
  if (stored.empty() || c.quantization.format == "keep") return;
  const bool plain = c.quantization.format == "f32" || c.quantization.format == "f16" || c.quantization.format == "bf16";
  out.push_back(with_fix(finding("note", "quantization.format",
                                 plain ? fmt::format("The file stores its weights in {}; as {} they take more memory and gain no accuracy.", stored, c.quantization.format)
                                       : fmt::format("The file stores its weights in {} already; coding them as {} rounds a second time.", stored, c.quantization.format)),
                         "Train on the file as it is", "quantization.format", "keep"));
}

void add_step_findings(std::vector<Finding>& out, const RunConfig& c, const BatchFacts& b) {
  if (b.steps < kFewSteps && c.training.max_steps == 0) {
    const int64_t a_step = c.training.batch_size * c.training.gradient_accumulation;
    Finding f = finding("warning", "training.epochs",
                        fmt::format("Only {} optimizer step{} ({} rows, {} a step): too few to learn much.", b.steps, b.steps == 1 ? "" : "s", b.rows, a_step));
    const auto epochs = static_cast<int64_t>(std::ceil(c.training.epochs * static_cast<double>(kFewSteps) / static_cast<double>(std::max<int64_t>(b.steps, 1))));
    if (c.training.gradient_accumulation > 1 && b.rows >= kFewSteps)
      f = with_fix(f, "Update after fewer rows", "training.gradient_accumulation", std::max<int64_t>(1, b.rows / kFewSteps / c.training.batch_size));
    else
      f = with_fix(f, fmt::format("Train for {} epochs", epochs), "training.epochs", epochs);
    out.push_back(f);
  }
  if (c.schedule.warmup_steps >= b.steps && b.steps > 0 && c.schedule.warmup_steps > 0)
    out.push_back(with_fix(finding("warning", "schedule.warmup_steps", fmt::format("The warmup of {} steps is as long as the whole run of {}.", c.schedule.warmup_steps, b.steps)),
                           "Use the warmup ratio", "schedule.warmup_steps", 0));
}

}  // namespace

Finding finding(std::string severity, std::string key, std::string text) {
  Finding f;
  f.severity = std::move(severity);
  f.key = std::move(key);
  f.text = std::move(text);
  return f;
}

bool has_error(const std::vector<Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(), [](const Finding& f) { return f.severity == "error"; });
}

void add_field_findings(std::vector<Finding>& out, const RunConfig& c) {
  RunConfig copy = c;
  for (const Field& f : config_fields()) {
    try {
      set_field(copy, f.key, field_value(c, f.key));
    } catch (const Error& e) {
      out.push_back(finding("error", std::string(f.key), e.what()));
    }
  }
  if (c.optimizer.learning_rate < kLowRate || c.optimizer.learning_rate > kHighRate)
    out.push_back(with_fix(finding("warning", "optimizer.learning_rate",
                                   fmt::format("A learning rate of {} is far from what adapters are trained with (1e-5 to 1e-3).", shortest(c.optimizer.learning_rate))),
                           "Use 2e-4", "optimizer.learning_rate", 2e-4));
  if (!has_device(device_of(c.device.kind)))
    out.push_back(with_fix(finding("error", "device.kind", "No GPU can be used on this machine."), "Use the CPU", "device.kind", "cpu"));
  else if (const std::string problem = device_problem(c.device.kind); !problem.empty())
    out.push_back(with_fix(finding("error", "device.kind", fmt::format("device.kind {}: {}.", c.device.kind, problem)), "Decide automatically", "device.kind", "auto"));
  if (c.adapter.dora) out.push_back(with_fix(finding("error", "adapter.dora", "DoRA is not in this version."), "Plain LoRA", "adapter.dora", false));
}

void add_compute_findings(std::vector<Finding>& out, const RunConfig& c, const Card* card) {
  if (device_of(c.device.kind) != DeviceType::cpu) {
    const bool has_bf16 = card ? card->capability >= 80 : !has_device(DeviceType::cuda) || device_memory(DeviceType::cuda).fast_bf16();
    if (c.device.compute == "bf16" && !has_bf16)
      out.push_back(with_fix(finding("error", "device.compute", "This GPU is older than compute capability 8.0 and multiplies no bf16 numbers."), "Use f16", "device.compute", "f16"));
    return;
  }
  if (c.device.compute == "bf16" && fast_compute(cpu_level()) != ComputeType::bf16)
    out.push_back(with_fix(finding("warning", "device.compute", "This CPU has no fast unit for bf16: products of bf16 numbers are computed in f32, which saves no time."),
                           "Decide automatically", "device.compute", "auto"));
  if (c.device.compute == "f16")
    out.push_back(with_fix(finding("error", "device.compute", "Products of f16 numbers are computed on a GPU only."), "Decide automatically", "device.compute", "auto"));
}

void add_model_findings(std::vector<Finding>& out, const RunConfig& c, const ModelFacts& m) {
  add_quantisation_findings(out, c, m);
  const int64_t context = m.config.max_positions;
  if (context > 0 && c.data.max_length > context) {
    const bool chosen = c.data.max_length != RunConfig().data.max_length;
    Finding f = finding(chosen ? "error" : "note", "data.max_length",
                        fmt::format("Rows of {} tokens are longer than the model's context of {}{}.", c.data.max_length, context, chosen ? "" : "; they are limited to it"));
    out.push_back(with_fix(f, fmt::format("Use {}", context), "data.max_length", context));
  }
  if (m.tokenizer_size == 0 && c.data.format != "tokens" && c.data.format != "auto")
    out.push_back(finding("error", "model.path", "This model has no tokenizer; only data of token ids (format tokens) can be used with it."));
}

void add_idle_name_findings(std::vector<Finding>& out, const std::vector<LinearShape>& linears, const AdapterSpec& spec) {
  for (const IdleName& idle : idle_names(linears, spec))
    out.push_back(finding("warning", idle.key, fmt::format("\"{}\" matches no module and does nothing; there are {}.", printable(idle.name, 60), idle.modules)));
}

void add_data_findings(std::vector<Finding>& out, const RunConfig& c, int64_t context, const DataFacts& d, const BatchFacts& b) {
  if (d.train.empty()) {
    out.push_back(finding("error", "data.train", fmt::format("None of the {} samples has a token to train on{}.", d.samples, d.first_dropped.empty() ? "" : " (" + d.first_dropped + ")")));
    return;
  }
  if (d.bad_rows > 0)
    out.push_back(finding("warning", "data.train", fmt::format("{} row{} could not be read and {} left out. First: {}", d.bad_rows, d.bad_rows == 1 ? "" : "s", d.bad_rows == 1 ? "is" : "are", d.first_bad)));
  if (d.dropped > 0)
    out.push_back(finding("warning", "data.train", fmt::format("{} of {} samples have nothing to train on and are left out. First: {}", d.dropped, d.looked_at, d.first_dropped)));
  if (d.truncated > 0) {
    const double share = static_cast<double>(d.truncated) / static_cast<double>(std::max<int64_t>(d.looked_at, 1));
    Finding f = finding(share > kMuchTruncated ? "warning" : "note", "data.max_length",
                        fmt::format("{} of {} samples ({:.0f} %) are longer than {} tokens and lose their end; the longest has {}.", d.truncated, d.looked_at, 100 * share, c.data.max_length, d.longest));
    if (d.longest > c.data.max_length && (context <= 0 || d.longest <= context))  // else some would still lose their end
      f = with_fix(f, fmt::format("Allow {} tokens", d.longest), "data.max_length", d.longest);
    else
      f = with_fix(f, "Cut into several", "data.on_long", "split");
    out.push_back(f);
  }
  for (const AuditFinding& a : d.audit)  // these three are said above, with figures and a remedy
    if (a.kind != "truncated" && a.kind != "dropped" && a.kind != "bad_rows")
      out.push_back(finding(a.severity == "error" ? "warning" : a.severity, "data.train", a.text));
  if (d.validation.empty())
    out.push_back(finding("note", "data.validation_fraction", "Nothing is held out, so there will be no evaluation."));
  add_step_findings(out, c, b);
}

void add_memory_findings(std::vector<Finding>& out, const RunConfig& c, const Plan& p) {
  if (p.fits) return;
  Finding f = finding("warning", "", fmt::format("Needs {}, and {} are free.", human_bytes(p.bytes.total), human_bytes(p.available_bytes)));
  if (p.bytes.optimizer > 0 && p.bytes.total - p.bytes.optimizer <= p.available_bytes && optimizers().find("paged_" + c.optimizer.name)) {
    f.key = "optimizer.name";
    f = with_fix(f, fmt::format("Keep {} of optimizer state in a file", human_bytes(p.bytes.optimizer)), "optimizer.name", "paged_" + c.optimizer.name);
  } else if (c.training.checkpointing != "auto" && c.training.checkpointing != "full") {
    f.key = "training.checkpointing";
    f = with_fix(f, "Recompute activations", "training.checkpointing", "full");
  } else if (c.training.batch_size > 1) {
    f.key = "training.batch_size";
    f = with_fix(f, "One row at a time", "training.batch_size", 1);
  } else if (c.data.max_length > 128 && p.bytes.activations > p.bytes.total / 4) {
    f.key = "data.max_length";
    f = with_fix(f, fmt::format("Rows of {} tokens", c.data.max_length / 2), "data.max_length", c.data.max_length / 2);
  } else if (c.quantization.format == "f32" || c.quantization.format == "bf16" || c.quantization.format == "f16" || c.quantization.format == "int8") {
    f.key = "quantization.format";
    f = with_fix(f, "Hold the weights in 4 bits", "quantization.format", "nf4");
  } else {
    f.key = "model.path";
  }
  out.push_back(f);
}

void add_disk_findings(std::vector<Finding>& out, const Plan& p, int64_t kept) {
  if (p.disk_free_bytes >= p.disk_bytes) return;
  Finding f = finding("warning", "run.folder", fmt::format("The run writes {}, and {} are free on that disk.", human_bytes(p.disk_bytes), human_bytes(p.disk_free_bytes)));
  if (kept > 1) {
    f.key = "training.keep_checkpoints";
    f = with_fix(f, "Keep one checkpoint", "training.keep_checkpoints", 1);
  }
  out.push_back(f);
}

}  // namespace lorikeet::detail
