// kill -9 at random moments: nothing but the steps since the last checkpoint is lost, the folder tells the truth at
// every moment, and the run ends with the bytes of one that was never touched.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/random.h"
#include "core/io/adapter_files.h"
#include "core/io/run_folder.h"
#include "tests/core/run/tiny_run.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

constexpr int kKills = 50;

/// Starts the worker; kills it after `after_ms` (never when negative). Its exit code, or -1 when it was killed.
int work(const std::vector<std::string>& arguments, double after_ms) {
  const pid_t child = ::fork();
  if (child == 0) {
    std::vector<char*> argv{const_cast<char*>(LORIKEET_TRAIN_WORKER)};
    for (const auto& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    ::execv(LORIKEET_TRAIN_WORKER, argv.data());
    ::_exit(127);
  }
  int status = 0;
  if (after_ms >= 0) {
    std::this_thread::sleep_for(std::chrono::microseconds(static_cast<int64_t>(after_ms * 1000)));
    ::kill(child, SIGKILL);
  }
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// Empty when all that the folder says is so.
std::string lie_of(const std::string& run) {
  if (!RunFolder::is_run_folder(run)) return {};
  const auto summary = summarise_run(run);
  if (summary->state != "interrupted" && summary->state != "finished") return "state " + summary->state;
  for (const int64_t step : RunFolder::checkpoint_steps(run))
    if (auto damage = RunFolder::checkpoint_damage(RunFolder::checkpoint_path(run, step)); !damage.empty()) return "checkpoint: " + damage;
  if (fs::exists(run + "/adapter/adapter_config.json")) {
    try {
      read_adapter(run);
    } catch (const Error& e) {
      return std::string("adapter: ") + e.what();
    }
  }
  uint64_t from = 0;
  int64_t last = 0;
  for (const Json& line : read_metrics(run, from))
    if (line.contains("loss")) {
      if (line["step"].get<int64_t>() != last + 1) return "metrics jump from step " + std::to_string(last) + " to " + dump_json(line["step"]);
      last = line["step"].get<int64_t>();
    }
  if (const auto steps = RunFolder::checkpoint_steps(run); !steps.empty() && steps.front() > last) return "a checkpoint of a step without a line";
  return {};
}

}  // namespace

class RunKillTest : public QObject {
  Q_OBJECT
  ScratchFolder scratch_;
  std::string config_;

 private slots:
  void initTestCase() {
    write_tiny_model(scratch_.path("model"));
    write_tiny_data(scratch_.path("data.jsonl"), 200);
    RunConfig c = tiny_config(scratch_.path("model"), scratch_.path("data.jsonl"));
    c.training.epochs = 8;
    c.training.gradient_accumulation = 1;
    config_ = scratch_.write("config.json", dump_json(config_to_json(c)));
    ::setenv("XDG_CACHE_HOME", scratch_.path("cache").c_str(), 1);
  }

  void endsWithTheSameBytesHoweverOftenItIsKilled() {
    const std::string calm = scratch_.path("calm");
    QElapsedTimer timer;
    timer.start();
    QCOMPARE(work({"train", config_, calm}, -1), 0);
    const double whole_ms = static_cast<double>(timer.elapsed());
    RandomStream random(11, 1);
    int kills = 0, runs = 0;
    // Another run whenever one ended before all the kills had found something to interrupt.
    while (kills < kKills) {
      const std::string run = scratch_.path("killed" + std::to_string(++runs));
      for (int code = -1; code != 0;) {
        const double life = kills < kKills ? random.uniform(1, whole_ms / 20) : -1;
        code = RunFolder::is_run_folder(run) ? work({"resume", run}, life) : work({"train", config_, run}, life);
        QVERIFY2(code == -1 || code == 0, ("exit code " + std::to_string(code)).c_str());
        kills += code == -1;
        const std::string lie = lie_of(run);
        QVERIFY2(lie.empty(), lie.c_str());
      }
      QCOMPARE(QString::fromStdString(essence_of_run(run)), QString::fromStdString(essence_of_run(calm)));
    }
    qInfo("%d kills over %d runs, an unbroken run takes %.0f ms", kills, runs, whole_ms);
  }
};

LORIKEET_TEST_MAIN(RunKillTest)
#include "run_kill_test.moc"
