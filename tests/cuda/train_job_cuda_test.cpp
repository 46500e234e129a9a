// Whole runs on a device: the run folder, stopping and continuing, memory that does not suffice, a card that is lost.
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/io/run_folder.h"
#include "core/run/chat.h"
#include "core/run/plan.h"
#include "core/run/queries.h"
#include "tests/core/run/tiny_run.h"
#include "tests/cuda/cuda_support.h"
#include "tests/cuda/faulty_device.h"

using namespace lorikeet;
using namespace lorikeet::test;

class TrainJobCudaTest : public QObject {
  Q_OBJECT
  ScratchFolder scratch_;
  RunConfig config_;

  std::string path(const std::string& name) const { return scratch_.path(name); }
  std::unique_ptr<Job> job(const std::string& name) const { return make_train_job(config_, {}, path(name)); }
  static std::vector<Json> lines_of(const std::string& run, const char* key) {
    uint64_t from = 0;
    std::vector<Json> out;
    for (const Json& line : run_metrics(run, from))
      if (line.contains(key)) out.push_back(line);
    return out;
  }
  double worst_loss_difference(const std::string& a, const std::string& b) const {
    const auto x = lines_of(path(a), "loss"), y = lines_of(path(b), "loss");
    double worst = x.size() == y.size() ? 0 : HUGE_VAL;
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) worst = std::max(worst, std::abs(x[i]["loss"].get<double>() - y[i]["loss"].get<double>()));
    return worst;
  }

 private slots:
  void initTestCase() {
    LORIKEET_NEEDS_GPU();
    ::setenv("XDG_CACHE_HOME", path("cache").c_str(), 1);
    write_tiny_model(path("model"));
    write_tiny_data(path("data.jsonl"), 60);
    config_ = tiny_config(path("model"), path("data.jsonl"));
    config_.device.kind = "cuda";
    config_.device.compute = "f32";
    config_.training.max_steps = 6;
  }

  void aRunIsThatOfTheCpu() {
    QCOMPARE(job("gpu")->run({}, {}), JobOutcome::finished);
    const Json info = run_information(path("gpu"));
    QCOMPARE(info["config"]["device"]["kind"].get<std::string>(), std::string("cuda"));
    for (const Json& line : lines_of(path("gpu"), "loss")) QVERIFY(line["device_bytes"].get<uint64_t>() > 0);
    RunConfig c = config_;
    c.device.kind = "cpu";
    QCOMPARE(make_train_job(c, {}, path("cpu"))->run({}, {}), JobOutcome::finished);
    const double worst = worst_loss_difference("gpu", "cpu");
    QVERIFY2(worst < 1e-5, qPrintable(QString::number(worst)));
  }

  void aContinuedRunHasTheSameBytes() {
    const auto train = job("stopped");
    QCOMPARE(train_until(*train, 3), JobOutcome::cancelled);
    QCOMPARE(make_resume_job(path("stopped"), 0)->run({}, {}), JobOutcome::finished);
    QCOMPARE(QString::fromStdString(essence_of_run(path("stopped"))), QString::fromStdString(essence_of_run(path("gpu"))));
  }

  void thePlanIsEnough() {
    const Json plan = read_json_file(path("gpu") + "/plan.json");
    uint64_t most = 0;
    for (const Json& line : lines_of(path("gpu"), "loss")) most = std::max(most, line["device_bytes"].get<uint64_t>());
    const auto planned = plan["estimate"]["bytes"]["total"].get<uint64_t>();
    qInfo("planned %llu bytes, measured %llu", static_cast<unsigned long long>(planned), static_cast<unsigned long long>(most));
    QVERIFY(planned >= most);
  }

  void scoresAndAnswersAreThoseOfTheCpu() {
    const auto loss = [&](const char* device) {
      ScoreRequest request;
      request.model = path("model");
      request.adapter = path("gpu");
      request.config = config_;
      request.config.device.kind = device;
      for (int i = 1; i < 40; ++i) request.ids.push_back(i % 7 + i % 3);
      const auto score = make_score_job(request);
      score->run({}, {});
      return score->result()["loss"].get<double>();
    };
    QVERIFY(std::abs(loss("cuda") - loss("cpu")) < 1e-5);
    for (const char* cache : {"f32", "bf16", "int8"}) {
      const auto answer = [&](const char* device) {
        ChatModel chat({.model = data_path("models/tiny-llama"), .quant = "nf4", .threads = 2, .compute = "f32", .kv_cache = cache, .device = device});
        return chat.answer(Json::array({{{"role", "user"}, {"content", "one and two"}}}), {.max_new_tokens = 12}, {}, nullptr);
      };
      QVERIFY2(answer("cuda").ids == answer("cpu").ids, cache);
    }
  }

  void aCardWithoutFastBf16ComputesInF16() {
    RunConfig c = config_;
    c.device.compute = "auto";
    {
      const OldDevice old;
      const Json trial = run_selftest(1)["levels"].back();
      QVERIFY2(trial["passed"].get<bool>() && trial["f16"]["max_error"].get<double>() < 1e-3 && !trial.contains("bf16"), dump_json(trial).c_str());
      RunConfig refused = c;
      refused.device.compute = "bf16";
      VERIFY_THROWS(make_train_job(refused, {}, path("refused_on_old"))->run({}, {}), ConfigError, "older than compute capability 8.0");
      QVERIFY(!fs::exists(path("refused_on_old")));
      const auto train = make_train_job(c, {}, path("old"));
      QCOMPARE(train_until(*train, 3), JobOutcome::cancelled);
      QCOMPARE(run_information(path("old"))["config"]["device"]["compute"].get<std::string>(), std::string("f16"));
      fs::copy(path("old"), path("old_on_cpu"), fs::copy_options::recursive);
      QCOMPARE(make_resume_job(path("old"), 0)->run({}, {}), JobOutcome::finished);
    }
    QVERIFY(worst_loss_difference("old", "gpu") < 2e-3);
    QCOMPARE(make_train_job(c, {}, path("new"))->run({}, {}), JobOutcome::finished);
    QCOMPARE(run_information(path("new"))["config"]["device"]["compute"].get<std::string>(), std::string("bf16"));
    // The CPU goes on in a type of its own, and takes no new run in this one.
    QCOMPARE(make_resume_job(path("old_on_cpu"), 0, "cpu")->run({}, {}), JobOutcome::finished);
    QVERIFY(run_information(path("old_on_cpu"))["config"]["device"]["compute"].get<std::string>() != "f16");
    c.device.kind = "cpu";
    c.device.compute = "f16";
    VERIFY_THROWS(make_train_job(c, {}, path("refused"))->run({}, {}), ConfigError, "f16 is computed in on a GPU only");
  }

  void tooLittleMemoryIsSaidAndNothingIsLost() {
    RunConfig c = config_;
    c.device.memory_limit = 4096;  // below the weights
    VERIFY_THROWS(make_train_job(c, {}, path("limit"))->run({}, {}), ConfigError, "device.memory_limit");
    const FullDevice full;  // another program takes what is free once the run has begun
    const auto train = job("full");
    JobEvents events;
    events.on_step = [&](const StepReport& r) {
      if (r.step == 2) full.fill();
    };
    VERIFY_THROWS(train->run({}, events), OutOfMemoryError, "would fit");
    QCOMPARE(run_information(path("full"))["state"].get<std::string>(), std::string("failed"));
    full.give_back();
    QCOMPARE(make_resume_job(path("full"), 0)->run({}, {}), JobOutcome::finished);
    QCOMPARE(QString::fromStdString(essence_of_run(path("full"))), QString::fromStdString(essence_of_run(path("gpu"))));
  }

  void aLostCardLeavesTheCheckpoint() {
    const auto train = job("lost");
    JobEvents events;
    events.on_step = [&](const StepReport& r) {
      if (r.step == 4) lose_device();
    };
    VERIFY_THROWS(train->run({}, events), DeviceLostError, "the GPU was lost");
    QCOMPARE(run_information(path("lost"))["state"].get<std::string>(), std::string("failed"));
    QVERIFY(RunFolder::checkpoint_steps(path("lost")).front() >= 1);
    VERIFY_THROWS(make_resume_job(path("lost"), 0)->run({}, {}), DeviceLostError, "the GPU was lost");
    // The CPU can go on, from the same checkpoint; the rest of the run is then its own.
    fs::copy(path("lost"), path("on_cpu"), fs::copy_options::recursive);
    QCOMPARE(make_resume_job(path("on_cpu"), 0, "cpu")->run({}, {}), JobOutcome::finished);
    QCOMPARE(run_information(path("on_cpu"))["config"]["device"]["kind"].get<std::string>(), std::string("cpu"));
    QVERIFY(worst_loss_difference("on_cpu", "gpu") < 1e-4);
    find_device_again();
    QCOMPARE(make_resume_job(path("lost"), 0)->run({}, {}), JobOutcome::finished);
    QCOMPARE(QString::fromStdString(essence_of_run(path("lost"))), QString::fromStdString(essence_of_run(path("gpu"))));
  }
};

LORIKEET_TEST_MAIN(TrainJobCudaTest)
#include "train_job_cuda_test.moc"
