/// What a job says, on its way from the worker to the window. The worker only ever takes a short lock and never waits
/// for the window; the window empties the box 20 times a second. So a job that reports 100,000 steps a second costs the
/// window the same as one that reports ten.
#pragma once
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/run/jobs.h"

namespace lorikeet::ui {

/// Everything that arrived since the last look.
struct Reports {
  std::vector<StepReport> steps;  // all of them, or thinned to every 2nd, 4th... when they come too fast; the last is kept
  std::vector<EvalReport> evals;
  std::vector<RunEvent> events;
  std::optional<Progress> progress;
  std::optional<std::string> run_folder;
  bool step_after_pause = false;  // a step ended after pause was asked: the job stands at its gate
};

class ReportBox {
 public:
  JobEvents callbacks();  // to be given to Job::run; valid as long as the box
  Reports take();

  /// The job in work, for pause; null when there is none.
  void set_job(Job* job);
  void set_paused(bool paused);
  void set_result(Json result);
  Json result() const;

 private:
  void add_step(const StepReport& step);

  mutable std::mutex mutex_;
  Reports waiting_;
  int64_t stride_ = 1, seen_ = 0;
  bool last_is_extra_ = false, pause_asked_ = false;
  Job* job_ = nullptr;
  Json result_;
};

}  // namespace lorikeet::ui
