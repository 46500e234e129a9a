// The first steps of a run for real, in a folder that goes afterwards: what they took corrects a plan.
#include <stdlib.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/run/jobs.h"
#include "core/run/plan.h"

namespace lorikeet {
namespace {

constexpr int64_t kSteps = 2;  // the first one also makes room and warms the caches

class PassingFolder {
 public:
  PassingFolder() {
    std::string name = (fs::temp_directory_path() / "lorikeet-probe-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw RunError(name + ": the folder of the trial steps could not be made");
    path_ = name;
  }
  ~PassingFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  PassingFolder(const PassingFolder&) = delete;
  PassingFolder& operator=(const PassingFolder&) = delete;
  std::string path() const { return path_.string(); }

 private:
  fs::path path_;
};

class ProbeJob final : public Job {
 public:
  ProbeJob(RunConfig config, std::vector<std::string> given) : config_(std::move(config)), given_(std::move(given)) {
    set("training.max_steps", config_.training.max_steps, kSteps);
    set("training.gradient_accumulation", config_.training.gradient_accumulation, 1);
    set("training.eval_every", config_.training.eval_every, kNever);
    set("training.save_every", config_.training.save_every, kNever);
  }
  JobOutcome run(std::stop_token stop, const JobEvents& events) override {
    const PassingFolder folder;
    const auto job = make_train_job(config_, given_, folder.path() + "/run");
    JobEvents inner;
    inner.on_progress = events.on_progress;
    inner.on_step = [&](const StepReport& s) {
      last_ = s;
      if (events.on_progress) events.on_progress({"trial steps", static_cast<double>(s.step), static_cast<double>(kSteps)});
    };
    const JobOutcome outcome = job->run(stop, inner);
    peak_ = job->result().value("peak_bytes", uint64_t{0});
    return outcome;
  }
  Json result() const override { return {{"steps", last_.step}, {"tokens_per_s", last_.tokens_per_s}, {"step_ms", last_.step_ms}, {"peak_bytes", peak_}}; }

 private:
  static constexpr int64_t kNever = 1'000'000;
  void set(const char* key, int64_t& member, int64_t value) {
    member = value;
    if (std::find(given_.begin(), given_.end(), key) == given_.end()) given_.emplace_back(key);
  }

  RunConfig config_;
  std::vector<std::string> given_;
  StepReport last_;
  uint64_t peak_ = 0;
};

}  // namespace

std::unique_ptr<Job> make_probe_job(RunConfig config, std::vector<std::string> given) { return std::make_unique<ProbeJob>(std::move(config), std::move(given)); }

void correct_plan(Plan& plan, const Json& probe) {
  plan.probe = {probe["steps"].get<int64_t>(), probe["tokens_per_s"].get<double>(), probe["step_ms"].get<double>(), probe["peak_bytes"].get<uint64_t>()};
  if (plan.probe.tokens_per_s > 0) {
    plan.seconds = plan.timed_tokens / plan.probe.tokens_per_s;
    plan.seconds_measured = true;
  }
  plan.fits = plan.fits && plan.probe.peak_bytes <= plan.available_bytes;
}

}  // namespace lorikeet
