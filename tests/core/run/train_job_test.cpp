// The train and resume jobs on a tiny model: the contract of the run folder, equality of continued and unbroken runs,
// and the refusals.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <set>
#include <thread>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/io/adapter_files.h"
#include "core/io/run_folder.h"
#include "core/ops/cpu_kernels.h"
#include "core/run/queries.h"
#include "tests/core/run/tiny_run.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

std::set<std::string> keys_of(const Json& j) {
  std::set<std::string> out;
  for (const auto& [key, value] : j.items()) out.insert(key);
  return out;
}

}  // namespace

/// Hundreds of small checkpoints, each brought to the disk many times over: in memory where there is room, since what is
/// tested here is not the disk.
struct FastScratch {
  FastScratch() {
    std::string why;
    if (fs::exists("/dev/shm") && folder_is_writable("/dev/shm", why) && free_disk_bytes("/dev/shm") > (48u << 20)) ::setenv("TMPDIR", "/dev/shm", 1);
  }
};

class TrainJobTest : public QObject {
  Q_OBJECT
  FastScratch fast_;
  ScratchFolder scratch_;
  RunConfig config_;
  std::string calm_;  // the unbroken run the others are held against
  int64_t total_ = 0;

  std::string path(const std::string& name) const { return scratch_.path(name); }
  std::unique_ptr<Job> job(const std::string& name) const { return make_train_job(config_, {}, path(name)); }
  std::string state_of(const std::string& name) const { return run_information(path(name))["state"].get<std::string>(); }
  void compare_with_calm(const std::string& name) { QCOMPARE(QString::fromStdString(essence_of_run(path(name))), QString::fromStdString(essence_of_run(calm_))); }

 private slots:
  void initTestCase() {
    register_cpu_kernels();
    ::setenv("XDG_CACHE_HOME", path("cache").c_str(), 1);
    write_tiny_model(path("model"));
    write_tiny_data(path("data.jsonl"), 150);
    config_ = tiny_config(path("model"), path("data.jsonl"));
    calm_ = path("calm");
  }

  void writesWhatTheContractSays() {
    const auto train = job("calm");
    std::string started;
    int64_t steps = 0, evaluations = 0;
    JobEvents events;
    events.on_started = [&](const std::string& folder) { started = folder; };
    events.on_step = [&](const StepReport& r) { steps = r.step; total_ = r.total_steps; };
    events.on_eval = [&](const EvalReport& r) { evaluations += r.eval_tokens > 0; };
    QCOMPARE(train->run({}, events), JobOutcome::finished);
    QCOMPARE(started, calm_);
    QCOMPARE(steps, total_);
    QVERIFY(total_ >= 10);
    QCOMPARE(evaluations, total_ / 4 + (total_ % 4 != 0));

    const Json info = run_information(calm_);
    QCOMPARE(info["state"].get<std::string>(), std::string("finished"));
    for (const char* key : {"config", "version", "device", "hashes", "started", "ended", "total_steps", "result"}) QVERIFY2(info.contains(key), key);
    for (const char* key : {"model", "tokenizer", "data"}) QVERIFY2(info["hashes"].contains(key), key);
    QCOMPARE(info["hashes"]["data"].get<std::string>(), sha256_of_file(path("data.jsonl")));
    RunConfig back;
    apply_config_json(back, info["config"]);
    QCOMPARE(back.adapter.rank, config_.adapter.rank);
    QVERIFY(read_json_file(calm_ + "/plan.json")["estimate"]["bytes"]["total"].get<uint64_t>() > 0);
    QVERIFY(read_json_file(calm_ + "/plan.json")["measured"]["peak_bytes"].get<uint64_t>() > 0);
    const Json result = train->result();
    for (const char* key : {"run", "steps", "final_loss", "best_eval_loss", "seconds", "tokens_per_s", "peak_bytes"}) QVERIFY2(result.contains(key), key);
    QCOMPARE(result["steps"].get<int64_t>(), total_);
    QVERIFY(read_adapter(calm_).tensors.size() == 28);

    uint64_t from = 0;
    int64_t expected = 0;
    double first = 0, last = 0;
    for (const Json& line : run_metrics(calm_, from)) {
      if (line.contains("loss")) {
        QVERIFY(keys_of(line) == (std::set<std::string>{"step", "epoch", "loss", "learning_rate", "grad_norm", "tokens", "target_tokens", "tokens_per_s", "step_ms",
                                                        "device_bytes", "host_bytes", "time"}));
        QCOMPARE(line["step"].get<int64_t>(), ++expected);
        last = line["loss"].get<double>();
        if (expected == 1) first = last;
      } else if (line.contains("eval_loss")) {
        QVERIFY(keys_of(line) == (std::set<std::string>{"step", "eval_loss", "eval_tokens", "time"}));
      } else {
        QVERIFY(keys_of(line) == (std::set<std::string>{"step", "event", "text", "time"}));
      }
    }
    QCOMPARE(expected, total_);
    QVERIFY2(last < 0.9 * first, qPrintable(QString("%1 -> %2").arg(first).arg(last)));
    QVERIFY(RunFolder::checkpoint_steps(calm_).size() == 2);
    QCOMPARE(RunFolder::checkpoint_steps(calm_).front(), total_);
    QVERIFY(fs::exists(RunFolder::checkpoint_path(calm_, total_) + "/adapter/adapter_config.json"));
  }

  void givesTheSameBytesAgain() {
    QCOMPARE(job("again")->run({}, {}), JobOutcome::finished);
    compare_with_calm("again");
  }

  void checkpointingChangesNoByte() {
    RunConfig c = config_;
    c.training.checkpointing = "full";
    QCOMPARE(make_train_job(c, {}, path("full"))->run({}, {}), JobOutcome::finished);
    QCOMPARE(QString::fromStdString(timeless_metrics(path("full"))), QString::fromStdString(timeless_metrics(calm_)));
  }

  void continuesFromEveryStepWithTheSameBytes() {
    for (int64_t step = 1; step <= total_; ++step) {
      const std::string name = "stop" + std::to_string(step);
      const auto train = job(name);
      const JobOutcome outcome = train_until(*train, step);
      if (step < total_) {
        QCOMPARE(outcome, JobOutcome::cancelled);
        QCOMPARE(state_of(name), std::string("cancelled"));
        QCOMPARE(RunFolder::checkpoint_steps(path(name)).front(), step);
        QCOMPARE(train->result()["steps"].get<int64_t>(), step);
        QVERIFY(summarise_run(path(name))->can_continue);
      }
      if (state_of(name) != "finished") QCOMPARE(make_resume_job(path(name), 0)->run({}, {}), JobOutcome::finished);
      compare_with_calm(name);
    }
  }

  // Rank 128 makes factors large enough for moments in 8 bits beside some that are not.
  void everyOptimizerContinuesWithTheSameBytes() {
    RunConfig c = config_;
    c.adapter.rank = 128;
    c.training.max_steps = 8;
    std::map<std::string, QString> essence;
    for (const char* name : {"adamw", "adamw8bit", "paged_adamw", "paged_adamw8bit"}) {
      c.optimizer.name = name;
      const std::string whole = path(std::string(name) + "-whole"), cut = path(std::string(name) + "-cut");
      QCOMPARE(make_train_job(c, {}, whole)->run({}, {}), JobOutcome::finished);
      QCOMPARE(train_until(*make_train_job(c, {}, cut), 5), JobOutcome::cancelled);
      QCOMPARE(make_resume_job(cut, 0)->run({}, {}), JobOutcome::finished);
      essence[name] = QString::fromStdString(essence_of_run(whole));
      QCOMPARE(QString::fromStdString(essence_of_run(cut)), essence[name]);
    }
    QCOMPARE(essence["paged_adamw"], essence["adamw"]);
    QCOMPARE(essence["paged_adamw8bit"], essence["adamw8bit"]);
    QVERIFY(essence["adamw8bit"] != essence["adamw"]);
  }

  // Two groups of one thread, pinned: their own bytes, which a cut and continued run has too, and which are near those
  // of one group.
  void groupsOfThreadsContinueWithTheSameBytes() {
    RunConfig c = config_;
    c.device.threads = 2;
    c.device.numa_groups = 2;
    c.device.pin_threads = true;
    QCOMPARE(make_train_job(c, {}, path("groups"))->run({}, {}), JobOutcome::finished);
    QCOMPARE(train_until(*make_train_job(c, {}, path("groups-cut")), 5), JobOutcome::cancelled);
    QCOMPARE(make_resume_job(path("groups-cut"), 0)->run({}, {}), JobOutcome::finished);
    QCOMPARE(QString::fromStdString(essence_of_run(path("groups-cut"))), QString::fromStdString(essence_of_run(path("groups"))));
    const auto loss = [&](const std::string& run) { return run_information(run)["result"]["final_loss"].get<double>(); };
    QVERIFY(std::abs(loss(path("groups")) / loss(calm_) - 1) < 1e-3);
    c.device.numa_groups = 3;
    VERIFY_THROWS(make_train_job(c, {}, path("too-many-groups"))->run({}, {}), ConfigError, "3 groups cannot be made of 2 threads");
    c.device.numa_groups = 0;  // decided once, and written down
    QCOMPARE(make_train_job(c, {}, path("decided"))->run({}, {}), JobOutcome::finished);
    QVERIFY(run_information(path("decided"))["config"]["device"]["numa_groups"].get<int64_t>() >= 1);
  }

  void continuesAStopInsideAnEvaluation() {
    std::stop_source stop;
    JobEvents events;
    events.on_progress = [&](const Progress& p) {
      if (p.what == "evaluating") stop.request_stop();
    };
    QCOMPARE(job("eval")->run(stop.get_token(), events), JobOutcome::cancelled);
    QCOMPARE(RunFolder::checkpoint_steps(path("eval")).front(), int64_t{4});
    QCOMPARE(make_resume_job(path("eval"), 0)->run({}, {}), JobOutcome::finished);
    compare_with_calm("eval");
  }

  void continuesAStopInsideAnEvaluationThatASaveFollows() {
    RunConfig c = config_;
    c.training.save_every = 4;
    QCOMPARE(make_train_job(c, {}, path("both-calm"))->run({}, {}), JobOutcome::finished);
    std::stop_source stop;
    JobEvents events;
    events.on_progress = [&](const Progress& p) {
      if (p.what == "evaluating") stop.request_stop();
    };
    QCOMPARE(make_train_job(c, {}, path("both"))->run(stop.get_token(), events), JobOutcome::cancelled);
    QCOMPARE(make_resume_job(path("both"), 0)->run({}, {}), JobOutcome::finished);
    QCOMPARE(QString::fromStdString(essence_of_run(path("both"))), QString::fromStdString(essence_of_run(path("both-calm"))));
  }

  void goesOnInSmallPieces() {
    train_until(*job("pieces"), 1);
    int pieces = 0;
    while (state_of("pieces") != "finished") {
      QVERIFY(++pieces < 100);
      const auto resume = make_resume_job(path("pieces"), 2);
      QCOMPARE(resume->run({}, {}), JobOutcome::finished);
      QCOMPARE(resume->result()["steps"].get<int64_t>(), std::min<int64_t>(total_, 1 + 2 * pieces));
    }
    QCOMPARE(pieces, static_cast<int>((total_ - 1 + 1) / 2));
    compare_with_calm("pieces");
  }

  void continuesAfterAMoveFromAnOlderCheckpoint() {
    train_until(*job("moved"), 8);
    const std::string there = path("moved there");
    fs::rename(path("moved"), there);
    const std::string newest = RunFolder::checkpoint_path(there, 8) + "/optimizer.safetensors";
    fs::resize_file(newest, fs::file_size(newest) - 1);
    QCOMPARE(make_resume_job(there, 0)->run({}, {}), JobOutcome::finished);
    compare_with_calm("moved there");
    QVERIFY(read_file(there + "/log.txt").find("step-8 is damaged") != std::string::npos);
  }

  void neverStartsOverSilently() {
    train_until(*job("lost"), 5);
    fs::remove_all(path("lost/checkpoints"));
    VERIFY_THROWS(make_resume_job(path("lost"), 0)->run({}, {}), RunError, "no whole checkpoint");
    QVERIFY(run_metrics_lines("lost") > 0);
  }

  void startsARunThatWasCutOffBeforeItsFirstStep() {
    std::stop_source stop;
    JobEvents events;
    events.on_progress = [&](const Progress& p) {
      if (p.what == "loading the model") stop.request_stop();
    };
    QCOMPARE(job("early")->run(stop.get_token(), events), JobOutcome::cancelled);
    QCOMPARE(make_resume_job(path("early"), 0)->run({}, {}), JobOutcome::finished);
    compare_with_calm("early");
  }

  void leavesNothingWhenStoppedBeforeTheFolderIsMade() {
    std::stop_source stop;
    stop.request_stop();
    const auto train = job("nothing");
    QCOMPARE(train->run(stop.get_token(), {}), JobOutcome::cancelled);
    QVERIFY(!fs::exists(path("nothing")));
    QVERIFY(train->result()["run"].is_null());
  }

  void refusesToContinueWhatIsFinishedOrChanged() {
    VERIFY_THROWS(make_resume_job(calm_, 0)->run({}, {}), UsageError, "finished");
    VERIFY_THROWS(make_resume_job(path("nowhere"), 0)->run({}, {}), InputError, "no such run folder");
    write_tiny_data(path("other.jsonl"), 77);
    RunConfig c = config_;
    c.data.train = {path("other.jsonl")};
    const auto train = make_train_job(c, {}, path("changed"));
    train_until(*train, 2);
    write_tiny_data(path("other.jsonl"), 77, 2);
    VERIFY_THROWS(make_resume_job(path("changed"), 0)->run({}, {}), InputError, "has changed");
  }

  void refusesSettingsThatDoNotFitTheCheckpoint() {
    train_until(*job("edited"), 4);
    Json run = read_json_file(path("edited/run.json"), 1u << 20);
    const Json rank = run["config"]["adapter"]["rank"];
    run["config"]["adapter"]["rank"] = rank.get<int64_t>() + 1;
    write_file_atomic(path("edited/run.json"), dump_json(run));
    VERIFY_THROWS(make_resume_job(path("edited"), 0)->run({}, {}), InputError, "run.json: against the checkpoint of step 4");
    run["config"]["adapter"]["rank"] = rank;  // put back, nothing is lost
    write_file_atomic(path("edited/run.json"), dump_json(run));
    QCOMPARE(make_resume_job(path("edited"), 0)->run({}, {}), JobOutcome::finished);
    compare_with_calm("edited");
  }

  void refusesASecondRunInTheSameFolder() {
    VERIFY_THROWS(job("calm")->run({}, {}), RunError, "holds a run already");
    std::string message;
    JobEvents events;
    events.on_step = [&](const StepReport&) {
      try {
        job("twice")->run({}, {});
      } catch (const RunError& e) {
        message = e.what();
      }
    };
    std::stop_source stop;
    const auto first = job("twice");
    JobEvents outer = events;
    outer.on_step = [&](const StepReport& r) {
      if (r.step == 1) events.on_step(r);
      stop.request_stop();
    };
    first->run(stop.get_token(), outer);
    QVERIFY2(message.find("in use by another run") != std::string::npos, message.c_str());
  }

  void refusesSettingsBeforeAnyWork_data() {
    QTest::addColumn<QString>("setting");
    QTest::addColumn<QString>("part");
    QTest::addColumn<int>("code");
    QTest::newRow("target") << "adapter.target_modules=nothing_like_it" << "nothing_like_it" << 2;
    QTest::newRow("context") << "data.max_length=65" << "64" << 2;
    QTest::newRow("model") << "model.path=/nowhere/model" << "/nowhere/model" << 3;
    QTest::newRow("data") << "data.train=/nowhere/data.jsonl" << "/nowhere/data.jsonl" << -1;
    QTest::newRow("cuda") << "device.kind=cuda" << "no GPU can be used" << 2;
    QTest::newRow("optimizer") << "optimizer.name=sgd" << "sgd" << 2;
    QTest::newRow("memory") << "device.memory_limit=1000000" << "memory_limit" << 1;
  }
  void refusesSettingsBeforeAnyWork() {
    QFETCH(QString, setting);
    QFETCH(QString, part);
    QFETCH(int, code);
    RunConfig c = config_;
    std::string message = "(nothing thrown)";
    int exit_code = 0;
    try {
      apply_set(c, setting.toStdString());
      make_train_job(c, {}, path("refused"))->run({}, {});
    } catch (const Error& e) {
      message = e.what();
      exit_code = e.exit_code();
    }
    QVERIFY2(message.find(part.toStdString()) != std::string::npos, message.c_str());
    if (code >= 0) QCOMPARE(exit_code, code); else QVERIFY(exit_code == 3 || exit_code == 1);
    QVERIFY(!fs::exists(path("refused/run.json")));
  }

  void refusesARankOfZeroHoweverItGotThere() {
    RunConfig c = config_;
    c.adapter.rank = 0;
    VERIFY_THROWS(make_train_job(c, {}, path("refused"))->run({}, {}), ConfigError, "adapter.rank");
  }

  void refusesDataWithoutTargets() {
    RunConfig c = config_;
    c.data.train = {scratch_.write("masked.jsonl", "{\"input_ids\":[1,2,3],\"labels\":[-100,-100,-100]}\n{\"input_ids\":[4,5],\"labels\":[-100,-100]}\n")};
    VERIFY_THROWS(make_train_job(c, {}, path("refused"))->run({}, {}), InputError, "masked.jsonl");
    c.data.train = {scratch_.write("big.jsonl", "{\"input_ids\":[1,2,3],\"labels\":[1,2,3]}\n{\"input_ids\":[4,64],\"labels\":[4,64]}\n")};
    VERIFY_THROWS(make_train_job(c, {}, path("refused"))->run({}, {}), InputError, "line 2");
    QVERIFY(!fs::exists(path("refused/run.json")));
  }

  void startsFromAnAdapter() {
    RunConfig c = config_;
    c.adapter = RunConfig().adapter;
    c.adapter.from = calm_;
    c.training.max_steps = 1;
    const auto train = make_train_job(c, {"adapter.from"}, path("from"));
    QCOMPARE(train->run({}, {}), JobOutcome::finished);
    RunConfig resolved;
    apply_config_json(resolved, run_information(path("from"))["config"]);
    QCOMPARE(resolved.adapter.rank, int64_t{4});
    QCOMPARE(resolved.adapter.alpha, 8.0);
    uint64_t from = 0;
    const double loss = read_metrics(path("from"), from)[0]["loss"].get<double>();
    QVERIFY(loss < 0.9 * first_loss());
    c.adapter.rank = 16;
    VERIFY_THROWS(make_train_job(c, {"adapter.from", "adapter.rank"}, path("refused"))->run({}, {}), ConfigError, "adapter.rank");
  }

  void pausesBetweenSteps() {
    const auto train = job("paused");
    std::atomic<int64_t> step{0};
    std::atomic<bool> paused{false};
    JobEvents events;
    events.on_step = [&](const StepReport& r) {
      step = r.step;
      if (r.step == 3) train->pause.set_paused(true);
    };
    events.on_event = [&](const RunEvent& e) { if (e.event == "paused") paused = true; };
    std::thread worker([&] { train->run({}, events); });
    QTRY_VERIFY(paused.load());
    QTest::qWait(50);
    QCOMPARE(step.load(), int64_t{3});
    train->pause.set_paused(false);
    worker.join();
    compare_with_calm("paused");
  }

  void keepsTheRunWhenTheDiskFills() {
    const pid_t child = ::fork();
    if (child == 0) {
      ::signal(SIGXFSZ, SIG_IGN);
      const auto train = job("disk");
      JobEvents events;
      events.on_step = [](const StepReport& r) {
        const rlimit small{4096, 4096};  // no file may grow past this from here on
        if (r.step == 5) ::setrlimit(RLIMIT_FSIZE, &small);
      };
      int code = 0;
      try {
        train->run({}, events);
      } catch (const IoError&) {
        code = 5;
      } catch (...) {
        code = 6;
      }
      ::_exit(code);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    QCOMPARE(WEXITSTATUS(status), 5);
    QCOMPARE(RunFolder::checkpoint_steps(path("disk")).front(), int64_t{3});
    QVERIFY(summarise_run(path("disk"))->can_continue);
    QCOMPARE(make_resume_job(path("disk"), 0)->run({}, {}), JobOutcome::finished);
    compare_with_calm("disk");
  }

  void stopsWhenNothingIsFinite() {
    write_tiny_model(path("wild"), 1e22);
    RunConfig c = config_;
    c.model.path = path("wild");
    c.quantization.format = "f32";
    VERIFY_THROWS(make_train_job(c, {}, path("nan"))->run({}, {}), RunError, "in a row");
    QCOMPARE(state_of("nan"), std::string("failed"));
    QCOMPARE(RunFolder::checkpoint_steps(path("nan")).front(), int64_t{0});
    uint64_t from = 0;
    int events = 0;
    for (const Json& line : read_metrics(path("nan"), from)) {
      if (line.contains("loss")) QVERIFY(line["loss"].is_null() || line["grad_norm"].is_null());
      events += line.contains("event") && line["event"] == "non_finite";
    }
    QCOMPARE(events, 3);
  }

  void countsStepsAsTheContractSays() {
    RunConfig c = config_;
    c.data.packing = false;
    c.data.validation_fraction = 0;
    c.training.epochs = 1.5;  // 150 rows, 6 a step: 25 steps an epoch, half of it rounded up
    c.training.save_every = 100;
    const auto train = make_train_job(c, {}, path("count"));
    QCOMPARE(train->run({}, {}), JobOutcome::finished);
    QCOMPARE(train->result()["steps"].get<int64_t>(), int64_t{25 + 13});
    QVERIFY(train->result()["best_eval_loss"].is_null());
  }

 private:
  size_t run_metrics_lines(const std::string& name) {
    uint64_t from = 0;
    return read_metrics(path(name), from).size();
  }
  double first_loss() {
    uint64_t from = 0;
    return read_metrics(calm_, from)[0]["loss"].get<double>();
  }
};

LORIKEET_TEST_MAIN(TrainJobTest)
#include "train_job_test.moc"
