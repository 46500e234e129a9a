// The comparison at the end of an export, asked again later: what lies in the folder now against the run it came from,
// or, without a run, that it still opens, fits its base and computes.
#include <cmath>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/io/adapter_files.h"
#include "core/run/detail/logit_proof.h"
#include "core/run/jobs.h"

namespace lorikeet {
namespace {

bool all_finite(const std::vector<Tensor>& logits) {
  for (const Tensor& t : logits)
    for (int64_t i = 0; i < t.size(); ++i)
      if (!std::isfinite(t.data<float>()[i])) return false;
  return true;
}

class VerifyJob : public Job {
 public:
  explicit VerifyJob(VerifyRequest request) : request_(std::move(request)) {}
  Json result() const override { return result_; }

  JobOutcome run(std::stop_token stop, const JobEvents& events) override {
    const auto say = [&](const char* what, double done) {
      if (events.on_progress) events.on_progress({what, done, 3});
    };
    const std::string exported = detail::adapter_place_of(request_.exported);
    say("loading the base", 0);
    detail::LoadRequest load;
    load.model = request_.model;
    load.adapter = request_.against.empty() ? exported : request_.against;
    load.threads = request_.threads;
    detail::LoadedModel model = detail::load_for_use(load, stop);
    say("comparing", 1);
    const auto first = detail::logits_on_probes(model);
    result_ = {{"export", request_.exported}, {"against", request_.against.empty() ? Json() : Json(request_.against)}};
    if (request_.against.empty()) {
      result_["verify"] = {{"max_abs_logit", nullptr}, {"mean_kl", nullptr}, {"top1_agreement", nullptr}, {"passed", all_finite(first)}};
      return JobOutcome::finished;
    }
    attach_adapter(*model.model, read_adapter(exported), exported);
    say("comparing", 2);
    result_["verify"] = detail::compared_logits(first, detail::logits_on_probes(model));
    return JobOutcome::finished;
  }

 private:
  VerifyRequest request_;
  Json result_;
};

}  // namespace

std::unique_ptr<Job> make_verify_job(VerifyRequest request) { return std::make_unique<VerifyJob>(std::move(request)); }

}  // namespace lorikeet
