// Runs whose data are tokenised while they train.
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/data/packing.h"
#include "core/data/token_cache.h"
#include "core/ops/cpu_kernels.h"
#include "core/run/plan.h"
#include "core/run/queries.h"
#include "tests/core/run/tiny_run.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

class StreamedRunTest : public QObject {
  Q_OBJECT
  ScratchFolder scratch_;
  RunConfig config_;

  std::string path(const std::string& name) const { return scratch_.path(name); }
  std::string state_of(const std::string& name) const { return run_information(path(name))["state"].get<std::string>(); }
  std::string log_of(const std::string& name) const { return read_file(path(name) + "/log.txt"); }

 private slots:
  void initTestCase() {
    register_cpu_kernels();
    ::setenv("XDG_CACHE_HOME", path("cache").c_str(), 1);
    write_tiny_model(path("model"));
    config_ = tiny_config(path("model"), path("large.jsonl"));
  }

  void aLargeSetTokenisedOnTheWayGivesTheSameRunStoppedContinuedOrCached() {
    write_tiny_data(path("large.jsonl"), 9000);
    RunConfig c = config_;
    c.data.train = {path("large.jsonl")};
    c.data.validation_fraction = 0.01;
    c.training.max_steps = 12;
    const auto train = [&](const std::string& name, int64_t until) {
      fs::remove_all(token_cache_folder());
      return train_until(*make_train_job(c, {}, path(name)), until);
    };
    QCOMPARE(train("large", 1000), JobOutcome::finished);
    QVERIFY(log_of("large").find("tokenised during the run") != std::string::npos);
    for (const int64_t step : {1, 7}) {
      const std::string name = "large" + std::to_string(step);
      QCOMPARE(train(name, step), JobOutcome::cancelled);
      fs::remove_all(token_cache_folder());
      QCOMPARE(make_resume_job(path(name), 0)->run({}, {}), JobOutcome::finished);
      QCOMPARE(QString::fromStdString(essence_of_run(path(name))), QString::fromStdString(essence_of_run(path("large"))));
    }
    Planner().prepare(c);  // looks at everything and leaves it in the cache
    QCOMPARE(train_until(*make_train_job(c, {}, path("cached")), 1000), JobOutcome::finished);
    QVERIFY(log_of("cached").find("tokenised during the run") == std::string::npos);
    QCOMPARE(QString::fromStdString(essence_of_run(path("cached"))), QString::fromStdString(essence_of_run(path("large"))));
  }

  void aBadRowFoundDuringTheRunIsToldAsBeforeIt() {
    RunConfig c = config_;
    c.data.train = {path("late.jsonl")};
    c.data.validation_fraction = 0;
    c.training.max_steps = 100000;
    write_tiny_data(path("late.jsonl"), 9000);
    const uint32_t last = sample_order(9000, {.length = 48, .seed = static_cast<uint64_t>(c.training.seed)}).back();
    std::string text = read_file(path("late.jsonl"));
    size_t at = 0;
    for (uint32_t line = 0; line < last; ++line) at = text.find('\n', at) + 1;
    text.replace(at, text.find('\n', at) - at, R"({"input_ids":[1,2,3,64]})");
    write_file_atomic(path("late.jsonl"), text);
    try {
      make_train_job(c, {}, path("late"))->run({}, {});
      QFAIL("the row was taken");
    } catch (const InputError& e) {
      QVERIFY2(std::string(e.what()).find("line " + std::to_string(last + 1)) != std::string::npos, e.what());
      QVERIFY2(std::string(e.what()).find("64, but the model's vocabulary ends at 63") != std::string::npos, e.what());
    }
    QCOMPARE(state_of("late"), std::string("failed"));
  }
};

LORIKEET_TEST_MAIN(StreamedRunTest)
#include "streamed_run_test.moc"
