// The train job and the resume job. Order of work: everything that can be refused is refused before the run folder is
// made; from then on run.json says what is going on, and the newest checkpoint is never lost.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/system.h"
#include "core/base/text.h"
#include "core/run/detail/build_plan.h"
#include "core/run/detail/memory_estimate.h"
#include "core/run/detail/plan_findings.h"
#include "core/run/detail/remedies.h"
#include "core/run/detail/run_setup.h"
#include "core/run/detail/throughput.h"
#include "core/run/detail/training_run.h"
#include "core/run/jobs.h"
#include "core/tensor/cpu_level.h"
#include "core/tensor/device_memory.h"
#include "core/tensor/host_arena.h"

namespace lorikeet {
namespace {

using namespace detail;

constexpr int64_t kRunFormat = 1;
/// Raised whenever the same data and seed give rows in another order than before.
constexpr int64_t kRowOrder = 2;
/// The first steps find cold caches and make their buffers; a speed taken from fewer than these would mislead.
constexpr int64_t kStepsThatTellSpeed = 5;
/// An estimate may be off by this share before a run is refused for it.
constexpr double kEstimateTolerance = 1.15;
/// What a checkpoint wants free beside itself (core/io/run_checkpoint.cpp): without it the first one would be refused.
constexpr uint64_t kSpareDiskBytes = 1u << 20;

Json number_or_null(double v) { return std::isfinite(v) ? Json(v) : Json(); }

struct FileHashes { std::string model, tokenizer, data, validation; };
Json hashes_to_json(const FileHashes& h) {
  return {{"model", h.model}, {"tokenizer", h.tokenizer}, {"data", h.data}, {"validation", h.validation}};
}

/// With the card in use.
Json device_to_json(const RunConfig& c) {
  const DeviceType device = device_of(c.device.kind);
  return {{"kind", c.device.kind}, {"name", device == DeviceType::cpu ? cpu_probe().model_name : device_memory(device).name()}, {"level", std::string(cpu_level_name(cpu_level()))},
          {"threads", c.device.threads}, {"compute", c.device.compute}};
}

/// device.memory_limit for as long as the job works.
struct MemoryLimit {
  explicit MemoryLimit(int64_t bytes) { arena_set_limit(static_cast<uint64_t>(bytes)); }
  ~MemoryLimit() { arena_set_limit(0); }
};

void keep_log_line(const RunFolder& folder, const LogLine& line) {
  try {
    folder.append_log(line.text);
  } catch (const IoError&) {  // a full disk is reported where the run's own files are written
  }
}

/// The part both jobs share: from a resolved config to a finished run.
class TrainingJob : public Job {
 public:
  Json result() const override { return result_; }

 protected:
  /// Opens the model and reads the data; fills facts, plan, hashes.
  void prepare(std::stop_token stop, const JobEvents& events) {
    reset_peak_resident();
    if (events.on_progress) events.on_progress({"reading the model's header", 0, 0});
    files_ = open_model(config_.model.path);
    if (const std::string note = fit_to_context(config_, files_->config()); !note.empty()) notes_.push_back(note);
    facts_ = model_facts(*files_);
    // A target that matches nothing is refused here, before data are read and a folder is made.
    if (!run_json_.contains("config") && !config_.adapter.from.empty()) check_starting_adapter(config_, files_->config());
    methods().get(config_.adapter.method)->matched(linear_shapes(files_->config()), adapter_spec_of(config_, files_->base_name()));
    data_ = read_training_data(config_, *files_, stop, [&](int64_t done, int64_t total) {
      if (events.on_progress) events.on_progress({"tokenising", static_cast<double>(done), static_cast<double>(total)});
    });
    if (events.on_progress) events.on_progress({"hashing the model", 0, 0});
    const TokenizerPtr tokenizer = files_->tokenizer();
    hashes_ = {files_->content_hash(), tokenizer ? tokenizer->fingerprint() : "", data_.train_hash, data_.validation_hash};
    if (data_.to_come.encode)
      notes_.push_back(fmt::format("The data were looked at in {} of {} samples drawn from the seed; the others are tokenised during the run.", data_.train.looked_at, data_.train.samples));
    sizes_ = data_facts(data_);
    fill_plan(plan_, config_, config_, facts_, &sizes_);
    refuse_what_cannot_fit();
  }

  void refuse_what_cannot_fit() const {
    if (const auto limit = static_cast<uint64_t>(config_.device.memory_limit); limit > 0 && limit < plan_.bytes.weights)
      throw ConfigError("device.memory_limit", fmt::format("device.memory_limit: {} cannot hold the weights of this model alone, {} as {}; raise it, or take a smaller "
                                                           "model or quantization.format", human_bytes(limit), human_bytes(plan_.bytes.weights), config_.quantization.format));
    const auto needed = static_cast<double>(plan_.bytes.total);
    if (needed > kEstimateTolerance * static_cast<double>(plan_.available_bytes))
      throw OutOfMemoryError(fmt::format("the run needs about {}, {} can be used{}; lower data.max_length, training.batch_size or quantization.format",
                                         human_bytes(plan_.bytes.total), human_bytes(plan_.available_bytes),
                                         config_.device.memory_limit > 0 ? " (device.memory_limit)" : ""),
                             plan_.bytes.total, plan_.available_bytes);
  }

  /// Runs with the folder open, keeping run.json true whatever happens. `restore`: take up the newest checkpoint.
  JobOutcome work(RunFolder& folder, bool restore, int64_t limit, std::stop_token stop, const JobEvents& events) {
    folder_ = &folder;
    session_began_ = wall_seconds();
    const double began = monotonic_seconds();
    const MemoryLimit memory_limit(config_.device.memory_limit);
    std::unique_ptr<TrainingRun> run;
    try {
      write_state("running", {});
      if (!restore) folder.write_plan_json({{"estimate", plan_to_json(plan_)}, {"measured", nullptr}});
      folder.append_log(restore ? "run continued" : "run started");
      const LogSubscription log([&folder](const LogLine& line) { keep_log_line(folder, line); });
      if (events.on_started) events.on_started(folder.path());
      const LoopEnd end = train(run, restore, limit, stop, events);
      finish(*run, end, monotonic_seconds() - began);
      return end == LoopEnd::stopped ? JobOutcome::cancelled : JobOutcome::finished;
    } catch (const Interrupted&) {  // before the first step
      write_state("cancelled", {});
      make_result(run.get(), "cancelled", monotonic_seconds() - began);
      folder.append_log("stopped before the first step");
      return JobOutcome::cancelled;
    } catch (const OutOfMemoryError& e) {
      // The plan was too low, or someone else took memory meanwhile.
      const uint64_t missing = e.asked_bytes > e.free_bytes ? e.asked_bytes - e.free_bytes : 1;
      const std::string message = e.what() + smallest_change(remedies(config_, facts_, sizes_), plan_.bytes.total, missing);
      fail(run.get(), message, monotonic_seconds() - began);
      throw OutOfMemoryError(message, e.asked_bytes, e.free_bytes);
    } catch (const std::exception& e) {
      fail(run.get(), e.what(), monotonic_seconds() - began);
      throw;
    }
  }

  RunConfig config_;
  ModelFilesPtr files_;
  ModelFacts facts_;
  TrainingData data_;
  FileHashes hashes_;
  Plan plan_;
  DataFacts sizes_;  // of what the plan was made for
  std::vector<std::string> notes_;
  Json run_json_ = Json::object();
  Json result_;

 private:
  LoopEnd train(std::unique_ptr<TrainingRun>& run, bool restore, int64_t limit, std::stop_token stop, const JobEvents& events) {
    const CheckpointPolicy policy = checkpoint_policy_from_name(plan_.policy);
    std::optional<CheckpointState> checkpoint;
    if (restore) checkpoint = folder_->newest_checkpoint();
    if (restore && !checkpoint) refuse_without_checkpoint();
    if (const auto steps = RunFolder::checkpoint_steps(folder_->path()); checkpoint && steps.front() != checkpoint->step)
      notes_.push_back(fmt::format("The checkpoint of step {} is damaged (see log.txt); the one of step {} is used.", steps.front(), checkpoint->step));
    tell_findings(events);
    run = std::make_unique<TrainingRun>(*folder_, config_, *files_, std::move(data_), policy, plan_.expanded, pause, stop);
    run_json_["total_steps"] = run->total_steps();
    run->load(!checkpoint, stop, events);
    run_json_["trainable_parameters"] = run->trainable_parameters();
    if (checkpoint) {
      run->restore(*checkpoint, events);
      seconds_before_ = seconds_in_metrics();
      if (events.on_event) events.on_event({checkpoint->step, "continued", fmt::format("continued from the checkpoint of step {}", checkpoint->step)});
      folder_->append_log(fmt::format("continued from the checkpoint of step {}", checkpoint->step));
    } else {
      run->begin(events);
    }
    checkpoint.reset();
    write_state("running", {});
    return run->loop(stop, events, limit);
  }

  /// Steps without a whole checkpoint cannot be continued, and starting over silently would lose them for good.
  void refuse_without_checkpoint() const {
    uint64_t from = 0;
    for (const Json& line : read_metrics(folder_->path(), from))
      if (line.contains("loss"))
        throw RunError(fmt::format("{}: holds no whole checkpoint, although steps were done; it cannot be continued. Start a new run, or bring the checkpoints back",
                                   printable(folder_->path(), 300)));
  }

  double seconds_in_metrics() const {
    uint64_t from = 0;
    double ms = 0;
    for (const Json& line : read_metrics(folder_->path(), from))
      if (line.contains("step_ms") && line["step_ms"].is_number()) ms += line["step_ms"].get<double>();
    return ms / 1000;
  }

  void tell_findings(const JobEvents& events) {
    const auto tell = [&](const std::string& text) {
      folder_->append_log(text);
      if (events.on_event) events.on_event({0, "finding", text});
    };
    for (const auto& text : notes_) tell(text);
    for (const Finding& f : plan_.findings)
      if (f.severity != "note") tell(f.severity + ": " + f.text);
  }

  void describe() {
    run_json_["format_version"] = kRunFormat;
    run_json_["version"] = LORIKEET_VERSION;
    run_json_["config"] = config_to_json(config_);
    run_json_["device"] = device_to_json(config_);
    run_json_["hashes"] = hashes_to_json(hashes_);
    run_json_["model"] = {{"architecture", facts_.config.architecture}, {"parameters", plan_.model_parameters}, {"base_name", facts_.base_name}};
    run_json_["policy"] = plan_.policy;
    run_json_["row_order"] = kRowOrder;
  }

  void write_state(const std::string& state, const std::string& error) {
    if (!run_json_.contains("config")) describe();
    run_json_["state"] = state;
    if (error.empty()) run_json_.erase("error"); else run_json_["error"] = error;
    if (!run_json_.contains("started")) run_json_["started"] = session_began_;
    if (state == "running") run_json_.erase("ended"); else run_json_["ended"] = wall_seconds();
    folder_->write_run_json(run_json_);
  }

  void make_result(const TrainingRun* run, const std::string& state, double wall) {
    const TrainCounters counters = run ? run->counters() : TrainCounters{};
    const double seconds = run ? run->session_seconds() : 0;
    result_ = {{"run", folder_->path()},
               {"state", state},
               {"steps", counters.step},
               {"total_steps", run ? run->total_steps() : plan_.steps},
               {"final_loss", number_or_null(counters.last_loss)},
               {"best_eval_loss", number_or_null(counters.best_eval_loss)},
               {"seconds", seconds_before_ + seconds},
               {"session_seconds", wall},
               {"tokens_per_s", seconds > 0 ? static_cast<double>(run->session_tokens()) / seconds : 0.0},
               {"tokens", counters.tokens},
               {"target_tokens", counters.target_tokens},
               {"peak_bytes", peak_resident_bytes()},
               {"peak_tensor_bytes", run ? run->peak_tensor_bytes() : uint64_t{0}},
               {"adapter", folder_->path() + "/adapter"}};
  }

  void finish(TrainingRun& run, LoopEnd end, double wall) {
    const std::string state = end == LoopEnd::finished ? "finished" : "cancelled";
    make_result(&run, state, wall);
    Json kept = result_;
    for (const char* path : {"run", "adapter"}) kept.erase(path);  // the folder may be moved
    run_json_["result"] = kept;
    folder_->write_plan_json({{"estimate", plan_to_json(plan_)}, {"measured", kept}});
    write_state(state, {});
    folder_->append_log(fmt::format("{} after {} of {} steps", state, run.counters().step, run.total_steps()));
    if (run.session_steps() >= kStepsThatTellSpeed) keep_tokens_per_s(config_, facts_, plan_.policy, result_["tokens_per_s"].get<double>());
  }

  void fail(const TrainingRun* run, const std::string& text, double wall) {
    make_result(run, "failed", wall);
    try {
      write_state("failed", text);
      folder_->append_log("failed: " + text);
    } catch (const std::exception&) {  // the disk that failed the run may fail this too: the first error is the one to tell
    }
  }

  RunFolder* folder_ = nullptr;
  double session_began_ = 0, seconds_before_ = 0;
};

class TrainJob final : public TrainingJob {
 public:
  TrainJob(RunConfig config, std::vector<std::string> given, std::string out) : given_(std::move(given)), out_(std::move(out)) { config_ = std::move(config); }
  JobOutcome run(std::stop_token stop, const JobEvents& events) override {
    config_ = resolve_config(config_, given_);
    const CardScope card = use_device(config_.device.kind);
    const std::string path = run_path_of(config_, out_);
    refuse_early(path);
    try {
      prepare(stop, events);
    } catch (const Interrupted&) {  // nothing was made yet, nothing is left
      result_ = {{"run", nullptr}, {"state", "cancelled"}, {"steps", 0}};
      return JobOutcome::cancelled;
    }
    refuse_without_space(path);
    const auto folder = RunFolder::create(path);
    config_.run.name = config_.run.name.empty() ? fs::path(folder->path()).filename().string() : config_.run.name;
    run_json_["name"] = config_.run.name;
    return work(*folder, false, 0, stop, events);
  }

 private:
  /// Before data are read: a folder in use or one that cannot be written must not cost minutes.
  static void refuse_early(const std::string& path) {
    std::error_code none;
    if (fs::exists(path, none)) {
      RunFolder::create(path);  // makes nothing but the lock, and gives it back
      return;
    }
    fs::path parent = fs::path(path).parent_path();
    while (!parent.empty() && !fs::exists(parent, none) && parent != parent.parent_path()) parent = parent.parent_path();
    std::string why;
    if (!folder_is_writable(parent.string(), why))
      throw IoError(path, fmt::format("{}: the run folder cannot be made: {}", printable(path, 180), why));
  }
  void refuse_without_space(const std::string& path) const {
    const uint64_t state = std::max(plan_.bytes.optimizer, plan_.paged_bytes);
    const uint64_t needed = 2 * checkpoint_bytes(plan_.trainable_parameters, state) + plan_.paged_bytes + kSpareDiskBytes, free = free_disk_bytes(path);
    if (free < needed)
      throw IoError(path, fmt::format("{}: a run with these settings writes at least {} bytes, {} are free on this disk; nothing was started",
                                      printable(path, 300), needed, free));
  }
  std::vector<std::string> given_;
  std::string out_;
};

class ResumeJob final : public TrainingJob {
 public:
  ResumeJob(std::string path, int64_t max_steps, std::string device) : path_(std::move(path)), max_steps_(max_steps), device_(std::move(device)) {}
  JobOutcome run(std::stop_token stop, const JobEvents& events) override {
    const auto folder = RunFolder::open(path_);
    run_json_ = folder->read_run_json();
    take_config(*folder);
    take_device();
    const CardScope card = use_device(config_.device.kind);
    try {
      prepare(stop, events);
    } catch (const Interrupted&) {  // the folder is as it was
      result_ = {{"run", folder->path()}, {"state", run_json_.value("state", "")}, {"steps", nullptr}};
      return JobOutcome::cancelled;
    }
    refuse_changed_files();
    note_other_row_order();
    return work(*folder, true, max_steps_, stop, events);
  }

 private:
  void take_config(const RunFolder& folder) {
    const std::string file = folder.path() + "/run.json";
    if (!run_json_.is_object() || !run_json_.contains("config") || !run_json_["config"].is_object())
      throw InputError(file, "field config", "is missing; this is no run of this program");
    const Json version = run_json_.value("format_version", Json());
    if (!version.is_number_integer() || version.get<int64_t>() < 1)
      throw InputError(file, "field format_version", "found " + printable(dump_json(version), 40) + "; a whole number from 1 is wanted");
    if (version.get<int64_t>() > kRunFormat)
      throw InputError(file, "field format_version", "was written by a newer version of this program (" +
                       printable(dump_json(run_json_.value("version", Json()))) + "); this is " + LORIKEET_VERSION + ". Nothing was changed");
    if (run_json_.value("state", Json()) == "finished")
      throw UsageError(printable(folder.path(), 300) + ": this run is finished; nothing is left to continue. Start a new one with adapter.from to train its adapter further");
    try {
      apply_config_json(config_, run_json_["config"]);
    } catch (const ConfigError& e) {
      throw InputError(file, "field config", e.what());
    }
  }

  /// `auto` keeps what the run began with while that can be used.
  bool another_device(const std::string& before, const std::string& problem) const {
    if (device_.empty()) return false;
    if (device_ == "auto") return !problem.empty();
    return device_of(device_) != device_of(before) || card_of(device_) != card_of(before);
  }

  /// A card that was lost, or a machine without one, need not end a run.
  void take_device() {
    const std::string before = config_.device.kind, problem = device_problem(before);
    if (!another_device(before, problem)) {
      if (problem.empty()) return;
      throw UnsupportedError(fmt::format("{}: the run began with device.kind {}: {}. To go on with another: resume --device {}", printable(path_, 300), before, problem,
                                         has_device(DeviceType::cuda) ? "cuda" : "cpu"));
    }
    require_device(device_);
    config_.device.kind = chosen_device(device_);
    const CardScope card = use_device(config_.device.kind);
    const ComputeType own = compute_type_of("auto", config_.quantization.format, device_of(device_));
    const bool here = config_.device.compute == "f32" || (config_.device.compute == "f16" && device_of(device_) != DeviceType::cpu) || config_.device.compute == compute_type_name(own);
    if (!here) config_.device.compute = compute_type_name(own);
    run_json_["config"] = config_to_json(config_);
    run_json_["device"] = device_to_json(config_);
    notes_.push_back(fmt::format("The run goes on with {} in {}; it began with {}.", config_.device.kind, config_.device.compute, before));
  }

  /// Other weights, tokens or data would give another run under the same name.
  void refuse_changed_files() const {
    const Json before = run_json_.value("hashes", Json()), now = hashes_to_json(hashes_);
    if (!before.is_object()) throw InputError(path_ + "/run.json", "field hashes", "is missing; whether model and data are those of this run cannot be told");
    const std::pair<const char*, std::string> places[] = {{"model", config_.model.path}, {"tokenizer", config_.model.path}, {"data", join(config_.data.train, ", ")},
                                                          {"validation", join(config_.data.validation, ", ")}};
    for (const auto& [key, path] : places)
      if (before.value(key, Json("")) != now[key])
        throw InputError(path, "", fmt::format("the {} has changed since this run began (sha256 {} now, {} then); a continued run would not be the same run", key,
                                               now[key].get<std::string>().substr(0, 16), printable(dump_json(before.value(key, Json())), 18)));
  }

  /// Runs of a version that ordered rows differently can be continued, but not with the rows they would have taken there.
  void note_other_row_order() {
    if (const Json order = run_json_.value("row_order", Json(1)); order != Json(kRowOrder)) {
      notes_.push_back("This run was begun by a version that put the data in another order: rows of the current epoch may be repeated or left out.");
      run_json_["row_order"] = kRowOrder;
    }
  }

  std::string path_;
  int64_t max_steps_;
  std::string device_;
};

}  // namespace

std::unique_ptr<Job> make_train_job(RunConfig config, std::vector<std::string> given, std::string out) {
  return std::make_unique<TrainJob>(std::move(config), std::move(given), std::move(out));
}
std::unique_ptr<Job> make_resume_job(std::string run_folder, int64_t max_steps, std::string device) {
  return std::make_unique<ResumeJob>(std::move(run_folder), max_steps, std::move(device));
}

}  // namespace lorikeet
