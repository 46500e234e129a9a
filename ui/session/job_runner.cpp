#include "ui/session/job_runner.h"

#include "core/base/error.h"

namespace lorikeet::ui {

void JobRunner::run(const JobFactory& factory, std::stop_token stop) {
  try {
    const std::unique_ptr<Job> job = factory();
    struct Registered {  // the box must never point to a job that is gone, whatever run() throws
      ReportBox& box;
      Registered(ReportBox& b, Job* j) : box(b) { box.set_job(j); }
      ~Registered() { box.set_job(nullptr); }
    } registered(box_, job.get());
    emit running();
    const JobOutcome outcome = job->run(stop, box_.callbacks());
    box_.set_result(job->result());
    if (outcome == JobOutcome::finished) emit finished();
    else emit cancelled();
  } catch (const Interrupted&) {
    emit cancelled();
  } catch (...) {
    emit failed(describe_current_exception());
  }
}

}  // namespace lorikeet::ui
