// The planner keeps model header and token counts between calls; a plan from them is arithmetic.
#include <algorithm>
#include <exception>
#include <mutex>
#include <optional>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/system.h"
#include "core/base/text.h"
#include "core/run/detail/build_plan.h"
#include "core/run/detail/data_settings.h"
#include "core/run/detail/plan_findings.h"
#include "core/run/detail/run_setup.h"
#include "core/run/plan.h"

namespace lorikeet {
namespace {

using namespace detail;

/// No sample is cut while counting: the cut is applied per plan, so that data.max_length may change freely.
constexpr int64_t kNoLimit = int64_t{1} << 30;

/// One sample's tokens with which of them are targets.
struct CountedSample {
  std::vector<bool> trained;
  SampleOrigin origin;
};
struct CountedData {
  std::string format;
  int64_t bad_rows = 0;
  std::string first_bad;
  std::vector<CountedSample> train, validation;
  std::vector<AuditFinding> audit;
};

std::vector<CountedSample> count(const Dataset& data, const std::vector<EncodeOutcome>& outcomes) {
  std::vector<CountedSample> out(outcomes.size());
  for (size_t i = 0; i < outcomes.size(); ++i) {
    out[i].origin = data.samples[i].origin;
    if (outcomes[i].documents.empty()) continue;
    for (const int32_t label : outcomes[i].documents.front().labels) out[i].trained.push_back(label >= 0);
  }
  return out;
}

CountedData count_data(const RunConfig& c, const ModelFiles& files) {
  CountedData out;
  EncodeSettings settings = encode_settings(c, files);
  settings.max_length = kNoLimit;
  settings.on_long = "truncate";
  const Dataset train = read_dataset(c.data.train, dataset_options(c));
  out.format = train.format;
  out.bad_rows = train.bad_row_count;
  if (!train.bad_rows.empty())
    out.first_bad = fmt::format("{}: {}: {}", train.bad_rows.front().origin.file, place_of(train.bad_rows.front().origin), train.bad_rows.front().reason);
  const auto outcomes = encode_all(train, c, settings, files, {}, {});
  out.train = count(train, outcomes);
  if (const TokenizerPtr t = files.tokenizer()) out.audit = audit(train, outcomes, *t);
  if (!c.data.validation.empty()) {
    const Dataset held = read_dataset(c.data.validation, dataset_options(c));
    out.validation = count(held, encode_all(held, c, settings, files, {}, {}));
  }
  return out;
}

/// What encode_sample makes of a sample under data.max_length and data.on_long, in sizes.
void add_documents(std::vector<DocumentSize>& out, DataFacts& facts, const CountedSample& s, uint32_t number, const RunConfig& c) {
  const auto length = static_cast<int64_t>(s.trained.size()), limit = std::max<int64_t>(c.data.max_length, 1);
  const size_t before = out.size();
  facts.longest = std::max(facts.longest, length);
  const bool too_long = length > limit;
  if (!(too_long && c.data.on_long == "drop"))
    for (int64_t begin = 0; begin < length; begin += limit) {
      const int64_t end = std::min(begin + limit, length);
      // The first token of a document is never a target.
      const auto targets = std::count(s.trained.begin() + begin + 1, s.trained.begin() + end, true);
      if (targets > 0) out.push_back({end - begin, targets, number});
      if (c.data.on_long != "split") break;
    }
  facts.truncated += too_long && c.data.on_long == "truncate";
  if (out.size() == before) {
    ++facts.dropped;
    if (facts.first_dropped.empty()) facts.first_dropped = fmt::format("{}: {}", s.origin.file, place_of(s.origin));
  }
}

DataFacts facts_of(const CountedData& data, const RunConfig& c) {
  DataFacts f;
  f.format = data.format;
  f.bad_rows = data.bad_rows;
  f.first_bad = data.first_bad;
  f.audit = data.audit;
  const auto n = static_cast<int64_t>(data.train.size());
  const std::vector<bool> out = c.data.validation.empty() ? held_out(n, c.data.validation_fraction, c.training.seed) : std::vector<bool>(data.train.size(), false);
  DataFacts held;
  uint32_t kept = 0, evaluated = 0;
  for (size_t i = 0; i < data.train.size(); ++i)
    out[i] ? add_documents(f.validation, held, data.train[i], evaluated++, c) : add_documents(f.train, f, data.train[i], kept++, c);
  for (const auto& s : data.validation) add_documents(f.validation, held, s, evaluated++, c);
  f.validation_samples = static_cast<int64_t>(std::count(out.begin(), out.end(), true)) + static_cast<int64_t>(data.validation.size());
  f.samples = f.looked_at = n - static_cast<int64_t>(std::count(out.begin(), out.end(), true));
  return f;
}

std::string model_key(const RunConfig& c) { return c.model.path + "\n" + c.model.revision; }
std::string data_key(const RunConfig& c) {
  return dump_json({{"model", model_key(c)}, {"train", c.data.train}, {"validation", c.data.validation}, {"format", c.data.format}, {"template", c.data.template_name},
                    {"train_on", c.data.train_on}, {"limit", c.data.limit}, {"system", c.data.system_prompt}});
}

/// What prepare() found; never changed once published, so that plans may be made while the next is being prepared.
struct Prepared {
  std::string model_key, data_key;
  ModelFilesPtr files;
  std::shared_ptr<const ModelFacts> model;
  std::optional<CountedData> data;
  std::vector<Finding> findings;  // why model or data cannot be used
  std::exception_ptr error;       // the first of those, with its exit code

  void refuse(const char* key) {
    if (!error) error = std::current_exception();
    try {
      throw;
    } catch (const ConfigError& e) {
      findings.push_back(finding("error", e.where(), e.what()));
    } catch (const std::exception& e) {
      findings.push_back(finding("error", key, e.what()));
    }
  }
};

}  // namespace

struct Planner::State {
  std::shared_ptr<const Prepared> now() const {
    const std::lock_guard lock(mutex);
    return prepared;
  }
  mutable std::mutex mutex;
  std::shared_ptr<const Prepared> prepared = std::make_shared<Prepared>();
};

Planner::Planner() : state_(std::make_unique<State>()) {}
Planner::~Planner() = default;

bool Planner::is_prepared(const RunConfig& c) const {
  const auto now = state_->now();
  return now->model_key == model_key(c) && now->data_key == data_key(c);
}

void Planner::prepare(const RunConfig& given) {
  const auto before = state_->now();
  auto fresh = std::make_shared<Prepared>();
  fresh->model_key = model_key(given);
  fresh->data_key = data_key(given);
  try {
    if (before->model_key == fresh->model_key && before->model) {
      fresh->files = before->files;
      fresh->model = before->model;
    } else {
      fresh->files = open_model(resolve_model_path(given.model.path));
      fresh->model = std::make_shared<const ModelFacts>(model_facts(*fresh->files));
    }
  } catch (const std::exception&) {
    fresh->refuse("model.path");
  }
  if (fresh->model) {
    try {
      RunConfig c = given;
      use_sample_data_when_empty(c);
      fresh->data = count_data(c, *fresh->files);
    } catch (const std::exception&) {
      fresh->refuse("data.train");
    }
  }
  const std::lock_guard lock(state_->mutex);
  state_->prepared = std::move(fresh);
}

void Planner::check() const {
  if (const auto now = state_->now(); now->error) std::rethrow_exception(now->error);
}

Plan Planner::plan(const RunConfig& wanted, const Card* card) const {
  Plan p;
  RunConfig given = wanted;
  if (card) given.device.kind = "auto";  // whether this machine has a GPU does not matter
  add_field_findings(p.findings, given);
  const CardScope scope = use_device(card ? "cpu" : given.device.kind);
  if (card) given.device.kind = "cuda";
  if (card && given.device.compute == "auto") given.device.compute = given.quantization.format == "f32" ? "f32" : card->capability >= 80 ? "bf16" : "f16";
  add_compute_findings(p.findings, given, card);
  RunConfig c = given;
  try {
    if (!c.adapter.from.empty() && !has_error(p.findings)) take_over_adapter(c, {});
  } catch (const std::exception& e) {
    p.findings.push_back(finding("error", "adapter.from", e.what()));
  }
  const auto now = state_->now();
  const bool same_model = now->model_key == model_key(given), same_data = now->data_key == data_key(given);
  if (!same_model || !same_data) p.findings.push_back(finding("note", "", "The model and the data have not been read yet."));
  else p.findings.insert(p.findings.end(), now->findings.begin(), now->findings.end());
  if (has_error(p.findings) && !now->model) return p;
  try {
    std::optional<DataFacts> data;
    if (same_model && now->model) fit_to_context_quietly(c, now->model->config);
    if (same_data && now->data) data = facts_of(*now->data, c);
    if (same_model && now->model) fill_plan(p, c, given, *now->model, data ? &*data : nullptr, card);
  } catch (const ConfigError& e) {
    const bool said = std::any_of(p.findings.begin(), p.findings.end(), [&](const Finding& f) { return f.severity == "error" && f.key == e.where(); });
    if (!said) p.findings.push_back(finding("error", e.where(), e.what()));
  } catch (const std::exception& e) {
    p.findings.push_back(finding("error", "", e.what()));
  }
  return p;
}

namespace {

/// Trial steps, or the speed of an earlier run.
Json probe_to_json(const Plan& p) {
  if (p.probe.steps > 0)
    return {{"steps", p.probe.steps}, {"tokens_per_s", p.probe.tokens_per_s}, {"step_ms", p.probe.step_ms}, {"peak_bytes", p.probe.peak_bytes}};
  if (p.seconds_measured && p.seconds > 0) return {{"tokens_per_s", p.timed_tokens / p.seconds}};
  return nullptr;
}

}  // namespace

Json plan_to_json(const Plan& p) {
  Json findings = Json::array();
  for (const Finding& f : p.findings) {
    Json j = {{"severity", f.severity}, {"key", f.key}, {"text", f.text}};
    if (!f.fix_label.empty()) j["fix"] = {{"label", f.fix_label}, {"key", f.fix_key}, {"value", f.fix_value}};
    findings.push_back(j);
  }
  return {{"bytes", {{"weights", p.bytes.weights}, {"adapter", p.bytes.adapter}, {"optimizer", p.bytes.optimizer}, {"activations", p.bytes.activations},
                     {"scratch", p.bytes.scratch}, {"total", p.bytes.total}}},
          {"available_bytes", p.available_bytes},
          {"fits", p.fits},
          {"policy", p.policy},
          {"expanded", p.expanded},
          {"seconds", p.seconds > 0 ? Json(p.seconds) : Json()},
          {"seconds_measured", p.seconds_measured},
          {"disk_bytes", p.disk_bytes},
          {"disk_free_bytes", p.disk_free_bytes},
          {"paged_bytes", p.paged_bytes},
          {"download_bytes", p.download_bytes},
          {"probe", probe_to_json(p)},
          {"steps", p.steps},
          {"rows", p.rows},
          {"fill", p.fill},
          {"samples", p.samples},
          {"total_tokens", p.total_tokens},
          {"target_tokens", p.target_tokens},
          {"longest", p.longest},
          {"truncated", p.truncated},
          {"trainable_parameters", p.trainable_parameters},
          {"model_parameters", p.model_parameters},
          {"bits_per_weight", p.bits_per_weight},
          {"device", p.device},
          {"findings", findings}};
}

}  // namespace lorikeet
