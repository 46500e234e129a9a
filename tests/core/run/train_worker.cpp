// A program that is there to be killed or measured: trains or continues a run like `lorikeet train` and `lorikeet resume`
// and prints the result as JSON.
//   train_worker train CONFIG.json RUN | train_worker resume RUN
#include <cstdio>
#include <string>

#include "core/base/error.h"
#include "core/ops/cpu_kernels.h"
#include "core/run/jobs.h"

int main(int argc, char** argv) {
  using namespace lorikeet;
  register_cpu_kernels();
  try {
    const std::string what = argc > 1 ? argv[1] : "";
    const auto job = what == "train" && argc == 4    ? make_train_job(read_config_file(argv[2]), {}, argv[3])
                     : what == "resume" && argc == 3 ? make_resume_job(argv[2], 0)
                                                     : throw UsageError("train CONFIG RUN | resume RUN");
    const JobOutcome outcome = job->run({}, {});
    std::puts(dump_json(job->result()).c_str());
    return outcome == JobOutcome::finished ? kExitDone : kExitInterrupted;
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return e.exit_code();
  }
}
