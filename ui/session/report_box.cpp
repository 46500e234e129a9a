#include "ui/session/report_box.h"

#include <utility>

namespace lorikeet::ui {
namespace {
constexpr size_t kMostSteps = 1024;  // a box; charts cannot show more in a twentieth of a second
}

JobEvents ReportBox::callbacks() {
  JobEvents events;
  events.on_progress = [this](const Progress& p) { std::lock_guard lock(mutex_); waiting_.progress = p; };
  events.on_step = [this](const StepReport& s) { add_step(s); };
  events.on_eval = [this](const EvalReport& e) { std::lock_guard lock(mutex_); waiting_.evals.push_back(e); };
  events.on_event = [this](const RunEvent& e) { std::lock_guard lock(mutex_); waiting_.events.push_back(e); };
  events.on_started = [this](const std::string& f) { std::lock_guard lock(mutex_); waiting_.run_folder = f; };
  return events;
}

void ReportBox::add_step(const StepReport& step) {
  std::lock_guard lock(mutex_);
  auto& steps = waiting_.steps;
  if (last_is_extra_) steps.pop_back();  // the newest is always there, but only every stride-th stays
  steps.push_back(step);
  last_is_extra_ = (seen_++ % stride_) != 0;
  if (steps.size() >= kMostSteps) {
    for (size_t i = 0; i < steps.size() / 2; ++i) steps[i] = steps[2 * i];
    steps.resize(steps.size() / 2);
    steps.push_back(step);
    last_is_extra_ = true;
    stride_ *= 2;
  }
  waiting_.step_after_pause = pause_asked_;
}

Reports ReportBox::take() {
  std::lock_guard lock(mutex_);
  Reports out = std::exchange(waiting_, {});
  stride_ = 1;
  seen_ = 0;
  last_is_extra_ = false;
  return out;
}

void ReportBox::set_job(Job* job) {
  std::lock_guard lock(mutex_);
  job_ = job;
  if (job_ && pause_asked_) job_->pause.set_paused(true);
  if (!job_) pause_asked_ = false;
}

void ReportBox::set_paused(bool paused) {
  std::lock_guard lock(mutex_);
  pause_asked_ = paused;
  waiting_.step_after_pause = false;
  if (job_) job_->pause.set_paused(paused);
}

void ReportBox::set_result(Json result) {
  std::lock_guard lock(mutex_);
  result_ = std::move(result);
}

Json ReportBox::result() const {
  std::lock_guard lock(mutex_);
  return result_;
}

}  // namespace lorikeet::ui
