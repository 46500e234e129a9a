// The run folder: one writer, whole files or none, checkpoints that prove themselves.
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/io/run_folder.h"
#include "core/io/safetensors.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

CheckpointState state_of(int64_t step, int64_t width = 32) {
  CheckpointState s;
  s.step = step;
  s.trainer = {{"tokens", step * 10}, {"metrics_bytes", 0}};
  s.parameters = {{"a.weight", random_tensor({4, width}, static_cast<uint64_t>(step))}, {"b.weight", random_tensor({width, 4}, static_cast<uint64_t>(step) + 1)}};
  s.optimizer = {{"exp_avg.a.weight", random_tensor({4, width}, static_cast<uint64_t>(step) + 2)}};
  return s;
}

bool same(const std::vector<std::pair<std::string, Tensor>>& a, const std::vector<std::pair<std::string, Tensor>>& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, t] : a) {
    const auto it = std::find_if(b.begin(), b.end(), [&](const auto& p) { return p.first == name; });
    if (it == b.end() || it->second.shape() != t.shape() || std::memcmp(it->second.raw(), t.raw(), t.bytes()) != 0) return false;
  }
  return true;
}

std::vector<int64_t> steps_of(const std::string& run) { return RunFolder::checkpoint_steps(run); }

void flip_byte(const std::string& path, size_t at) {
  std::string bytes = read_file(path);
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  write_file_atomic(path, bytes);
}

/// Runs `body` in a child process; its exit code.
int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    int code = 99;
    try {
      code = body();
    } catch (...) {
    }
    ::_exit(code);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool has_leftover(const std::string& run) {
  for (const auto& e : fs::recursive_directory_iterator(run))
    if (e.path().filename().string().find(".tmp") != std::string::npos || e.path().filename().string().ends_with(".removed")) return true;
  return false;
}

}  // namespace

class RunFolderTest : public QObject {
  Q_OBJECT
  ScratchFolder scratch_;

 private slots:
  void keepsWhatIsWritten() {
    const std::string path = scratch_.path("keeps");
    {
      const auto run = RunFolder::create(path);
      run->write_run_json({{"config", {{"adapter", {{"rank", 8}}}}}, {"state", "running"}});
      run->write_plan_json({{"estimate", 1}});
      run->append_metrics({{"step", 1}, {"loss", 0.1}});
      run->append_log("hello");
    }
    QVERIFY(RunFolder::is_run_folder(path));
    const auto run = RunFolder::open(path);
    QCOMPARE(run->read_run_json()["config"]["adapter"]["rank"].get<int>(), 8);
    uint64_t from = 0;
    const auto lines = read_metrics(path, from);
    QCOMPARE(lines.size(), size_t{1});
    QCOMPARE(lines[0]["loss"].get<double>(), 0.1);
    QCOMPARE(from, run->metrics_bytes());
    QVERIFY(read_file(path + "/log.txt").find("hello\n") != std::string::npos);
  }

  void refusesASecondWriter() {
    const std::string path = scratch_.path("lock");
    const auto run = RunFolder::create(path);
    run->write_run_json({{"state", "running"}});
    VERIFY_THROWS(RunFolder::open(path), RunError, "");
    VERIFY_THROWS(RunFolder::create(path), RunError, "another run");
    QCOMPARE(in_child([&] {
               try {
                 RunFolder::open(path);
               } catch (const RunError&) {
                 return 7;
               }
               return 0;
             }),
             7);
  }

  void takesTheLockOfAKilledWriter() {
    const std::string path = scratch_.path("killed");
    QCOMPARE(in_child([&]() -> int {
               const auto run = RunFolder::create(path);
               run->write_run_json({{"state", "running"}, {"config", Json::object()}});
               ::kill(::getpid(), SIGKILL);
               return 0;
             }),
             128 + SIGKILL);
    QCOMPARE(QString::fromStdString(summarise_run(path)->state), QString("interrupted"));
    const auto run = RunFolder::open(path);
    QVERIFY(summarise_run(path)->running);
    QCOMPARE(QString::fromStdString(summarise_run(path)->state), QString("running"));
  }

  void oneOfManyStartersWins() {
    for (int round = 0; round < 100; ++round) {
      const std::string path = scratch_.path("race" + std::to_string(round));
      fs::create_directories(path);
      int gate[2];
      QCOMPARE(::pipe(gate), 0);
      std::vector<pid_t> children;
      for (int c = 0; c < 3; ++c) {
        const pid_t child = ::fork();
        if (child == 0) {
          ::close(gate[1]);
          char wait;
          (void)!::read(gate[0], &wait, 1);  // all start when the parent closes its end
          int code = 1;
          try {
            const auto run = RunFolder::create(path);
            run->write_run_json({{"state", "running"}});
            code = 0;
          } catch (const RunError&) {
          } catch (...) {
            code = 2;
          }
          ::_exit(code);
        }
        children.push_back(child);
      }
      ::close(gate[0]);
      ::close(gate[1]);
      int winners = 0;
      for (const pid_t child : children) {
        int status = 0;
        ::waitpid(child, &status, 0);
        QVERIFY(WIFEXITED(status) && WEXITSTATUS(status) != 2);
        winners += WEXITSTATUS(status) == 0;
      }
      QCOMPARE(winners, 1);
    }
  }

  void refusesAFolderWithOtherThings() {
    const std::string path = scratch_.path("occupied");
    fs::create_directories(path);
    write_file_atomic(path + "/thesis.txt", "mine");
    VERIFY_THROWS(RunFolder::create(path), RunError, "thesis.txt");
    QCOMPARE(read_file(path + "/thesis.txt"), std::string("mine"));
    VERIFY_THROWS(RunFolder::open(path), InputError, "run.json");
    VERIFY_THROWS(RunFolder::open(path + "/none"), InputError, "no such");
    const std::string file = scratch_.write("file", "x");
    VERIFY_THROWS(RunFolder::create(file), RunError, "is a file");
  }

  void startsOverInAFolderThatOnlyHoldsRemains() {
    const std::string path = scratch_.path("remains");
    fs::create_directories(path);
    scratch_.write("remains/.lock", "");
    scratch_.write("remains/run.json.tmp-1-0", "{");
    const auto run = RunFolder::create(path);
    run->write_run_json({{"state", "running"}});
    QVERIFY(!fs::exists(path + "/run.json.tmp-1-0"));
  }

  void refusesAPlaceWhereNothingCanBeWritten() {
    VERIFY_THROWS(RunFolder::create("/proc/lorikeet-run"), IoError, "/proc/lorikeet-run");
    if (::geteuid() == 0) return;  // for root no folder is read-only
    const std::string path = scratch_.path("readonly");
    fs::create_directories(path);
    fs::permissions(path, fs::perms::owner_read | fs::perms::owner_exec);
    VERIFY_THROWS(RunFolder::create(path), IoError, "written");
    fs::permissions(path, fs::perms::owner_all);
  }

  void readsBackACheckpointBitForBit() {
    const std::string path = scratch_.path("bits");
    const auto run = RunFolder::create(path);
    run->write_run_json({{"state", "running"}});
    const CheckpointState saved = state_of(5);
    run->save_checkpoint(saved, 2);
    const auto loaded = run->newest_checkpoint();
    QVERIFY(loaded.has_value());
    QCOMPARE(loaded->step, int64_t{5});
    QVERIFY(same(saved.parameters, loaded->parameters));
    QVERIFY(same(saved.optimizer, loaded->optimizer));
    QVERIFY(loaded->trainer == saved.trainer);
    QVERIFY(!has_leftover(path));
    const Json manifest = read_json_file(RunFolder::checkpoint_path(path, 5) + "/manifest.json");
    for (const auto& f : manifest["files"]) {
      const std::string name = RunFolder::checkpoint_path(path, 5) + "/" + f["path"].get<std::string>();
      QCOMPARE(sha256_of_file(name), f["sha256"].get<std::string>());
      QCOMPARE(fs::file_size(name), f["bytes"].get<uint64_t>());
    }
  }

  void keepsParametersOnceWhenTheCallerWritesThem() {
    const std::string path = scratch_.path("once");
    const auto run = RunFolder::create(path);
    const CheckpointState saved = state_of(3);
    run->save_checkpoint(saved, 2, [&](const std::string& folder) {
      fs::create_directories(folder + "/adapter");
      write_safetensors(folder + "/adapter/adapter_model.safetensors", saved.parameters);
    });
    QVERIFY(!fs::exists(RunFolder::checkpoint_path(path, 3) + "/adapter.safetensors"));
    QVERIFY(same(saved.parameters, run->newest_checkpoint()->parameters));
    // Other content there is not taken for the parameters.
    run->save_checkpoint(state_of(4), 2, [&](const std::string& folder) {
      fs::create_directories(folder + "/adapter");
      write_safetensors(folder + "/adapter/adapter_model.safetensors", saved.parameters);
    });
    QVERIFY(same(state_of(4).parameters, run->newest_checkpoint()->parameters));
  }

  void keepsTheNewestOnes() {
    const std::string path = scratch_.path("rotation");
    const auto run = RunFolder::create(path);
    for (int64_t step = 0; step <= 5; ++step) run->save_checkpoint(state_of(step), 2);
    QVERIFY(steps_of(path) == (std::vector<int64_t>{5, 4}));
    run->save_checkpoint(state_of(6), 0);  // at least one stays, whatever is asked
    QVERIFY(steps_of(path) == (std::vector<int64_t>{6}));
    QVERIFY(!has_leftover(path));
  }

  void replacesTheSameStep() {
    const std::string path = scratch_.path("again");
    const auto run = RunFolder::create(path);
    run->save_checkpoint(state_of(2), 2);
    CheckpointState other = state_of(9);
    other.step = 2;
    run->save_checkpoint(other, 2);
    QVERIFY(same(other.parameters, run->newest_checkpoint()->parameters));
    QVERIFY(!has_leftover(path));
  }

  void skipsDamagedOnes_data() {
    QTest::addColumn<QString>("what");
    for (const char* w : {"flip optimizer", "flip parameters", "cut parameters", "remove state", "change state", "no manifest", "garbage manifest", "path outside"}) QTest::newRow(w) << w;
  }
  void skipsDamagedOnes() {
    QFETCH(QString, what);
    const std::string path = scratch_.path(("damage-" + what).toStdString());
    const auto run = RunFolder::create(path);
    run->save_checkpoint(state_of(1), 3);
    run->save_checkpoint(state_of(2), 3);
    const std::string newest = RunFolder::checkpoint_path(path, 2);
    if (what == "flip optimizer") flip_byte(newest + "/optimizer.safetensors", fs::file_size(newest + "/optimizer.safetensors") - 1);
    if (what == "flip parameters") flip_byte(newest + "/adapter.safetensors", 200);
    if (what == "cut parameters") fs::resize_file(newest + "/adapter.safetensors", 100);
    if (what == "remove state") fs::remove(newest + "/state.json");
    if (what == "change state") write_file_atomic(newest + "/state.json", "{\"step\":2}");
    if (what == "no manifest") fs::remove(newest + "/manifest.json");
    if (what == "garbage manifest") write_file_atomic(newest + "/manifest.json", "{\"files\":[[[[1");
    if (what == "path outside")
      write_file_atomic(newest + "/manifest.json", R"({"format_version":1,"files":[{"path":"../step-1/state.json","bytes":1,"sha256":"0000000000000000000000000000000000000000000000000000000000000000"}]})");
    const auto loaded = run->newest_checkpoint();
    QVERIFY(loaded.has_value());
    QCOMPARE(loaded->step, int64_t{1});
    QVERIFY(same(loaded->parameters, state_of(1).parameters));
    if (what != "no manifest") QVERIFY(read_file(path + "/log.txt").find("step-2 is damaged") != std::string::npos);
    // Going on from the older one, the damaged one is replaced or goes; the new one stays.
    run->save_checkpoint(state_of(what == "flip optimizer" ? 2 : 1), 1);
    QVERIFY(run->newest_checkpoint().has_value());
    QCOMPARE(run->newest_checkpoint()->step, int64_t{what == "flip optimizer" ? 2 : 1});
  }

  void refusesWhatANewerVersionMade() {
    const std::string path = scratch_.path("newer");
    const auto run = RunFolder::create(path);
    run->save_checkpoint(state_of(1), 3);
    run->save_checkpoint(state_of(2), 3);
    const std::string file = RunFolder::checkpoint_path(path, 2) + "/manifest.json";
    Json manifest = read_json_file(file);
    manifest["format_version"] = 99;
    manifest["program_version"] = "9.0";
    write_file_atomic(file, dump_json(manifest));
    VERIFY_THROWS(run->newest_checkpoint(), RunError, "9.0");
    QVERIFY(steps_of(path) == (std::vector<int64_t>{2, 1}));
  }

  void holdsNoNonFiniteValue() {
    const std::string path = scratch_.path("nan");
    const auto run = RunFolder::create(path);
    for (const bool in_optimizer : {false, true}) {
      CheckpointState s = state_of(1);
      (in_optimizer ? s.optimizer : s.parameters)[0].second.data<float>()[7] = in_optimizer ? INFINITY : NAN;
      VERIFY_THROWS(run->save_checkpoint(s, 2), RunError, in_optimizer ? "exp_avg.a.weight" : "a.weight");
    }
    QVERIFY(steps_of(path).empty());
  }

  /// Every write beyond a size fails, as on a full disk; the size grows until the save succeeds.
  void survivesAFullDisk() {
    const std::string path = scratch_.path("full");
    RunFolder::create(path)->write_run_json({{"state", "running"}});
    RunFolder::open(path)->save_checkpoint(state_of(1, 2000), 2);
    int failures = 0;
    bool saved = false;
    for (rlim_t limit = 0; !saved; limit += 4096) {
      QVERIFY(limit < (1u << 20));
      const int code = in_child([&] {
        ::signal(SIGXFSZ, SIG_IGN);
        const auto run = RunFolder::open(path);
        const rlimit r{limit, limit};
        ::setrlimit(RLIMIT_FSIZE, &r);
        try {
          run->save_checkpoint(state_of(2, 2000), 2);
        } catch (const IoError& e) {
          return std::string(e.what()).find("bytes") != std::string::npos ? 1 : 3;
        }
        return 0;
      });
      saved = code == 0;
      failures += code == 1;
      QVERIFY2(code == 0 || code == 1, std::to_string(code).c_str());
      if (saved) break;
      QVERIFY(steps_of(path) == std::vector<int64_t>{1});
      QVERIFY(!has_leftover(path));
      QVERIFY(same(RunFolder::open(path)->newest_checkpoint()->parameters, state_of(1, 2000).parameters));
    }
    QVERIFY(failures > 5);
    QVERIFY(same(RunFolder::open(path)->newest_checkpoint()->parameters, state_of(2, 2000).parameters));
  }

  void saysWhatIsNeededOnASmallDisk() {
    const std::string disk = scratch_.path("disk");
    fs::create_directories(disk);
    if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=512k") != 0) QSKIP("no right to mount a small disk here");
    std::string message;
    {
      const auto run = RunFolder::create(disk + "/run");
      run->write_run_json({{"state", "running"}});
      try {
        run->save_checkpoint(state_of(1, 20000), 2);
      } catch (const IoError& e) {
        message = e.what();
      }
      QVERIFY(steps_of(disk + "/run").empty());
    }
    ::umount(disk.c_str());
    QVERIFY2(message.find("bytes") != std::string::npos && message.find("free") != std::string::npos, message.c_str());
  }

  void cutsMetricsBack() {
    const std::string path = scratch_.path("metrics");
    const auto run = RunFolder::create(path);
    run->append_metrics({{"step", 1}});
    const uint64_t here = run->metrics_bytes();
    run->append_metrics({{"step", 2}});
    run->truncate_metrics(here);
    QCOMPARE(run->metrics_bytes(), here);
    run->append_metrics({{"step", 3}});
    uint64_t from = 0;
    const auto lines = read_metrics(path, from);
    QCOMPARE(lines.size(), size_t{2});
    QCOMPARE(lines[1]["step"].get<int>(), 3);
    QCOMPARE(read_metrics(path, from).size(), size_t{0});
    run->truncate_metrics(1u << 20);  // less is there than the checkpoint knew: kept, said in the log
    QVERIFY(read_file(path + "/log.txt").find("missing") != std::string::npos);
  }

  void skipsTornLines() {
    const std::string path = scratch_.path("torn");
    fs::create_directories(path);
    scratch_.write("torn/metrics.jsonl", "{\"step\":1}\n{\"step\":2,\"lo\n{\"step\":3}\n{\"step\":4");
    uint64_t from = 0;
    const auto lines = read_metrics(path, from);
    QCOMPARE(lines.size(), size_t{2});
    QCOMPARE(lines[1]["step"].get<int>(), 3);
    QCOMPARE(from, uint64_t{11 + 14 + 11});
  }

  void continuesAfterAMove() {
    const std::string path = scratch_.path("here"), there = scratch_.path("th\"ere \xC3\xA4\n");
    {
      const auto run = RunFolder::create(path);
      run->write_run_json({{"state", "cancelled"}});
      run->save_checkpoint(state_of(4), 2);
    }
    fs::rename(path, there);
    const auto run = RunFolder::open(there);
    QVERIFY(same(run->newest_checkpoint()->parameters, state_of(4).parameters));
    run->save_checkpoint(state_of(5), 2);
    QCOMPARE(run->newest_checkpoint()->step, int64_t{5});
  }

  void removesWhatAKilledWriterLeft() {
    const std::string path = scratch_.path("left");
    RunFolder::create(path)->write_run_json({{"state", "running"}});
    RunFolder::open(path)->save_checkpoint(state_of(1), 2);
    for (const char* name : {"left/checkpoints/step-2.tmp/optimizer.safetensors", "left/checkpoints/step-0.removed/x", "left/run.json.tmp-3-3"}) {
      fs::create_directories(fs::path(scratch_.path(name)).parent_path());
      scratch_.write(name, "half");
    }
    QVERIFY(has_leftover(path));
    const auto run = RunFolder::open(path);
    QVERIFY(!has_leftover(path));
    QCOMPARE(run->newest_checkpoint()->step, int64_t{1});
  }

  void summarisesRuns() {
    const std::string folder = scratch_.path("runs");
    for (const auto& [name, state, started] : {std::tuple("one", "finished", 10.0), std::tuple("two", "running", 20.0), std::tuple("three", "cancelled", 15.0)}) {
      const auto run = RunFolder::create(folder + "/" + name);
      run->write_run_json({{"name", name}, {"state", state}, {"started", started}, {"total_steps", 100},
                           {"config", {{"model", {{"path", "/models/Tiny/"}}}, {"data", {{"train", {"/d/a.jsonl", "/d/b.csv"}}}}}}});
      for (int k = 1; k <= 100; ++k) run->append_metrics({{"step", k}, {"loss", 3.0 / k}});
      run->append_metrics({{"step", 50}, {"eval_loss", 0.5}});
      run->append_metrics({{"step", 100}, {"eval_loss", 0.75}});
      run->save_checkpoint(state_of(100), 1);
    }
    scratch_.write("runs/note.txt", "no run");
    fs::create_directories(folder + "/empty");
    const auto runs = list_runs(folder);
    QCOMPARE(runs.size(), size_t{3});
    QCOMPARE(QString::fromStdString(runs[0].name), QString("two"));
    QCOMPARE(QString::fromStdString(runs[0].state), QString("interrupted"));
    QVERIFY(runs[0].can_continue && !runs[0].running);
    QVERIFY(runs[1].can_continue);   // cancelled
    QVERIFY(!runs[2].can_continue);  // finished
    QCOMPARE(runs[0].final_loss, 0.03);
    QCOMPARE(runs[0].best_eval_loss, 0.5);
    QCOMPARE(runs[0].step, int64_t{100});
    QCOMPARE(runs[0].spark.size(), size_t{64});
    QVERIFY(runs[0].spark.front() > runs[0].spark.back());
    QCOMPARE(QString::fromStdString(runs[0].model), QString("Tiny"));
    QCOMPARE(QString::fromStdString(runs[0].data), QString("a.jsonl, b.csv"));
    QCOMPARE(list_runs(folder + "/two").size(), size_t{1});
    QVERIFY(list_runs(scratch_.path("nowhere")).empty());
  }
};

LORIKEET_TEST_MAIN(RunFolderTest)
#include "run_folder_test.moc"
