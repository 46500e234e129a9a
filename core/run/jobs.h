/// Jobs: the same objects for the command line and the window. A job knows no thread and no Qt: run() works in place,
/// asks `stop` at least once a second, and reports through callbacks. Errors throw (core/base/error.h).
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/json.h"
#include "core/base/log.h"
#include "core/config/run_config.h"

namespace lorikeet {

struct StepReport {  // one training line of metrics.jsonl, with the totals
  int64_t step = 0, total_steps = 0;  // steps done, from 1
  double epoch = 0, loss = 0, learning_rate = 0, grad_norm = 0;
  int64_t tokens = 0, target_tokens = 0;  // so far
  double tokens_per_s = 0, step_ms = 0;
  uint64_t device_bytes = 0, host_bytes = 0;
  double time = 0;               // seconds since 1970
  double seconds_left = 0;       // estimate
};
struct EvalReport { int64_t step = 0; double eval_loss = 0; int64_t eval_tokens = 0; double time = 0; };
struct Progress { std::string what; double done = 0, total = 0; };  // "loading the model", "tokenising", ...
struct RunEvent { int64_t step = 0; std::string event, text; };      // "saved", "finding", ...

struct JobEvents {
  std::function<void(const Progress&)> on_progress;
  std::function<void(const StepReport&)> on_step;
  std::function<void(const EvalReport&)> on_eval;
  std::function<void(const RunEvent&)> on_event;
  std::function<void(const std::string& run_folder)> on_started;  // the run folder exists
};
enum class JobOutcome { finished, cancelled };

/// Pause: a gate between steps. wait() returns at once when open or when stop is requested.
class PauseGate {
 public:
  void set_paused(bool paused);
  bool paused() const { return paused_; }
  void wait(std::stop_token stop);

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::atomic<bool> paused_{false};
};

struct Job {
  virtual ~Job() = default;
  virtual JobOutcome run(std::stop_token stop, const JobEvents& events) = 0;
  /// The JSON result of interface.md once run() has returned.
  virtual Json result() const = 0;
  PauseGate pause;
};

/// A new run (out: run folder, empty = run.folder/run.name decide) or the continuation of one (interface.md `resume`;
/// max_steps > 0 stops after that many more steps). `given`: dotted keys the user set.
std::unique_ptr<Job> make_train_job(RunConfig config, std::vector<std::string> given, std::string out);
/// `device`: a value of device.kind to go on with; empty: the run's own. On another device, or another kind of card, the steps have other bits.
std::unique_ptr<Job> make_resume_job(std::string run_folder, int64_t max_steps, std::string device = {});
/// Two steps of such a run of one micro-batch each, in a passing folder. The result is that of `probe` in Plan: see
/// correct_plan() (plan.h).
std::unique_ptr<Job> make_probe_job(RunConfig config, std::vector<std::string> given);
/// Export of a run, checkpoint or adapter to a PEFT folder, re-opened and compared. `model`: the base, empty = the one the
/// adapter names, else the default model.
struct ExportRequest { std::string from, to = "peft", type, out; bool verify = true; std::string model; int threads = 0; };
std::unique_ptr<Job> make_export_job(ExportRequest request);
/// The same comparison later. `against` empty: only whether the export opens, fits its base and computes.
struct VerifyRequest { std::string exported, against, model; int threads = 0; };
std::unique_ptr<Job> make_verify_job(VerifyRequest request);
struct QuantizeRequest { std::string model, out; RunConfig::Quantization quantization; int64_t threads = 0; };
std::unique_ptr<Job> make_quantize_job(QuantizeRequest request);
struct ScoreRequest {
  std::string model, adapter, quant = "keep", data, logits_file;
  std::vector<int32_t> ids;
  RunConfig config;  // data.*, device.* as for training
};
std::unique_ptr<Job> make_score_job(ScoreRequest request);

}  // namespace lorikeet
