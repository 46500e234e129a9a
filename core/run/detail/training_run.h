/// One training run in memory: model, adapter, optimizer, data, and the loop over steps. The folder tells the truth
/// about it at every moment; everything that decides the numbers is a function of (config, data, step).
#pragma once
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "core/io/run_folder.h"
#include "core/optim/schedule.h"
#include "core/run/detail/batch_plan.h"
#include "core/run/detail/row_stream.h"
#include "core/run/detail/training_data.h"
#include "core/run/jobs.h"
#include "core/train/trainer.h"

namespace lorikeet::detail {

/// What a checkpoint carries besides tensors.
struct TrainCounters {
  int64_t step = 0, tokens = 0, target_tokens = 0;
  int64_t evaluated_step = -1;    // the step of the last evaluation
  int64_t non_finite_in_a_row = 0;
  double last_loss = std::numeric_limits<double>::quiet_NaN();
  double best_eval_loss = std::numeric_limits<double>::quiet_NaN();
};
Json counters_to_json(const TrainCounters& c);
TrainCounters counters_from_json(const Json& j);

/// Steps between evaluations and between checkpoints: as set, else a tenth of the run (checkpoints at most 100 steps
/// apart; with auto also whenever two minutes have passed, which changes no number).
int64_t eval_distance(const RunConfig& config, int64_t total_steps);
int64_t save_distance(const RunConfig& config, int64_t total_steps);

enum class LoopEnd { finished, stopped, paused_at_limit };

class TrainingRun {
 public:
  /// The resolved config, the opened model and the encoded data, as train_job.cpp prepared them.
  /// Throws Interrupted when `stop` is set while the rows of all epochs are counted.
  TrainingRun(RunFolder& folder, const RunConfig& config, const ModelFiles& files, TrainingData data, CheckpointPolicy policy, bool expanded, PauseGate& pause,
              std::stop_token stop);
  ~TrainingRun();
  /// Reads and codes the weights, attaches the adapter (`fresh`: with the values of adapter.from, where that is set; else
  /// restore() brings them). Throws Interrupted.
  void load(bool fresh, std::stop_token stop, const JobEvents& events);
  /// Step 0: writes the first checkpoint, which also proves that the folder takes one.
  void begin(const JobEvents& events);
  /// Takes over a checkpoint and cuts the metrics back to it. Throws RunError when it does not fit the model.
  void restore(const CheckpointState& state, const JobEvents& events);
  /// Runs until the total or `limit` more steps (0: no limit). Stopped or limited: saved at the step reached.
  LoopEnd loop(std::stop_token stop, const JobEvents& events, int64_t limit);

  int64_t total_steps() const { return total_steps_; }
  const TrainCounters& counters() const { return counters_; }
  int64_t trainable_parameters() const;
  /// Seconds inside steps and evaluations of this session, and tokens of this session.
  double session_seconds() const { return session_seconds_; }
  int64_t session_tokens() const { return session_tokens_; }
  int64_t session_steps() const { return session_steps_; }
  uint64_t peak_tensor_bytes() const { return peak_tensor_bytes_; }

 private:
  struct Machine;
  void one_step(std::stop_token stop, const JobEvents& events);
  void report(const StepResult& r, double rate, double seconds, const JobEvents& events);
  void note_non_finite(const StepResult& r, const JobEvents& events);
  /// Evaluation and checkpoint that belong to the step reached. False when stopped inside the evaluation.
  bool close_step(std::stop_token stop, const JobEvents& events);
  bool evaluate(std::stop_token stop, const JobEvents& events);
  void save(bool scheduled, const JobEvents& events);
  void saved_line(const JobEvents& events);
  void wait_while_paused(std::stop_token stop, const JobEvents& events);
  bool eval_due() const;
  bool save_due() const;

  RunFolder& folder_;
  const RunConfig& config_;
  const ModelFiles& files_;
  TrainingData data_;
  CheckpointPolicy policy_;
  bool expanded_;  // weights are kept as panels too
  PauseGate& pause_;
  std::unique_ptr<Machine> machine_;  // context, model, adapter, optimizer, trainer
  RowStream rows_;                    // makes the rows ahead of the steps; holds the training documents
  BatchPlan batches_;
  int64_t total_steps_, eval_every_, save_every_;
  ScheduleSpec schedule_;
  std::vector<Row> validation_rows_;
  TrainCounters counters_;
  int64_t saved_step_ = -1;          // the newest checkpoint written or restored
  bool saved_on_schedule_ = false;   // and whether it was one that leaves a line in the metrics
  double epoch_ = 0;                 // epochs done after the step reached
  double saved_at_ = 0, step_seconds_ = 0, session_seconds_ = 0;
  int64_t session_tokens_ = 0, session_steps_ = 0;
  uint64_t peak_tensor_bytes_ = 0;
};

}  // namespace lorikeet::detail
