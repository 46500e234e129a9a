/// Monitor's state: live steps, smoothing, a run read from its folder, and 100,000 points in good time.
#include "ui/viewmodels/monitor_view_model.h"

#include <cmath>

#include "tests/support/support.h"
#include "tests/ui/ui_support.h"

using namespace lorikeet;
using namespace lorikeet::ui;
using namespace lorikeet::ui::test;

namespace {

/// A run folder with `steps` training lines, one evaluation and one event.
void write_run(const lorikeet::test::ScratchFolder& folder, int steps, const char* state) {
  folder.write("run.json", std::string(R"({"state":")") + state + R"(","started":1000000000,"config":{"optimizer":{"max_grad_norm":0.5}}})");
  folder.write("plan.json", R"({"bytes":{"weights":1,"total":430000000}})");
  std::string lines;
  for (int i = 1; i <= steps; ++i)
    lines += R"({"step":)" + std::to_string(i) + R"(,"epoch":0.1,"loss":)" + std::to_string(2.0 / i) + R"(,"learning_rate":0.0002,"grad_norm":)" +
             (i == 2 ? "0.9" : "0.3") + R"(,"tokens":)" + std::to_string(100 * i) + R"(,"tokens_per_s":3000,"host_bytes":1000,"time":)" + std::to_string(1000000000 + 60 * i) + "}\n";
  lines += R"({"step":)" + std::to_string(steps) + R"(,"eval_loss":0.4,"eval_tokens":10,"time":1000000100})" "\n";
  lines += R"({"step":)" + std::to_string(steps) + R"(,"event":"saved","text":"checkpoint","time":1000000100})" "\n";
  folder.write("metrics.jsonl", lines);
}

}  // namespace

class MonitorViewModelTest : public QObject {
  Q_OBJECT
 private slots:
  void readsAFinishedRunFromItsFolder() {
    lorikeet::test::ScratchFolder folder;
    write_run(folder, 4, "finished");
    Session session;
    QueryRunner queries("q");
    MonitorViewModel vm(session, queries);
    QVERIFY(vm.isEmpty());
    QSignalSpy replaced(&vm, &MonitorViewModel::runReplaced);
    vm.showRun(QString::fromStdString(folder.path()));
    QTRY_COMPARE(vm.steps().size(), size_t(4));
    QTRY_VERIFY(replaced.count() > 0);
    QCOMPARE(vm.stateText(), QString("Finished"));
    QCOMPARE(vm.evals().size(), size_t(1));
    QCOMPARE(vm.bestEval(), 0.4);
    QCOMPARE(vm.eventsModel().rowCount(), 1);
    QCOMPARE(vm.clipNorm(), 0.5);
    QCOMPARE(vm.clippedSteps(), qint64(1));
    QCOMPARE(vm.plannedBytes(), 430000000.0);
    QVERIFY(!vm.canContinue());
    vm.setXAxis(XAxis::tokens);
    QCOMPARE(vm.x(vm.steps()[3]), 400.0);
    vm.setXAxis(XAxis::time);
    QCOMPARE(vm.x(vm.steps()[3]), 4.0);
    QCOMPARE(vm.csv().count('\n'), 5);
  }

  void whatTheCardDoesIsSaidWhileARunLives() {
    Session session;
    QueryRunner queries("q");
    MonitorViewModel vm(session, queries);
    vm.setGpuQuery([] {
      return Json{{"gpus", {{{"usable", false}, {"busy_percent", 1}}, {{"usable", true}, {"bytes", 24000000000}, {"used_bytes", 6100000000}, {"busy_percent", 87}, {"temperature_c", 64}, {"power_w", 310.4}}}}};
    });
    QVERIFY(vm.gpuText().isEmpty());
    session.start(QStringLiteral("run"), [] {
      return std::make_unique<FakeJob>([](std::stop_token stop, const JobEvents&, PauseGate&) {
        while (!stop.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
        return JobOutcome::cancelled;
      });
    });
    QTRY_COMPARE(vm.gpuText(), QStringLiteral("GPU 87 % busy · 6.1 GB of 24 GB · 64 °C · 310 W"));
    session.stop();
    QTRY_VERIFY(!session.isActive());
    QTRY_VERIFY(vm.gpuText().isEmpty());
  }

  void aStoppedRunCanBeContinued() {
    lorikeet::test::ScratchFolder folder;
    write_run(folder, 4, "cancelled");
    Session session;
    QueryRunner queries("q");
    MonitorViewModel vm(session, queries);
    vm.showRun(QString::fromStdString(folder.path()));
    QTRY_COMPARE(vm.steps().size(), size_t(4));
    QVERIFY(vm.canContinue());
  }

  void aFolderThatIsNoRunIsAProblem() {
    lorikeet::test::ScratchFolder folder;
    Session session;
    QueryRunner queries("q");
    MonitorViewModel vm(session, queries);
    QSignalSpy problem(&vm, &MonitorViewModel::problem);
    vm.showRun(QString::fromStdString(folder.path()));
    QTRY_COMPARE(problem.count(), 1);
  }

  void smoothingStartsAtTheFirstValueAndFollows() {
    lorikeet::test::ScratchFolder folder;
    write_run(folder, 50, "finished");
    Session session;
    QueryRunner queries("q");
    MonitorViewModel vm(session, queries);
    vm.showRun(QString::fromStdString(folder.path()));
    QTRY_COMPARE(vm.steps().size(), size_t(50));
    QCOMPARE(vm.smoothedLoss().front(), 2.0);
    QVERIFY(vm.smoothedLoss().back() > vm.steps().back().loss);  // it lags behind a falling loss
    vm.setSmoothing(0);
    for (size_t i = 0; i < 50; ++i) QCOMPARE(vm.smoothedLoss()[i], vm.steps()[i].loss);
  }

  void liveStepsArriveAndTheWholeFileReplacesThemAtTheEnd() {
    lorikeet::test::ScratchFolder folder;
    write_run(folder, 6, "finished");
    Session session;
    QueryRunner queries("q");
    MonitorViewModel vm(session, queries);
    QSignalSpy added(&vm, &MonitorViewModel::pointsAdded);
    const std::string path = folder.path();
    session.start("live", [path] {
      return std::make_unique<FakeJob>([path](std::stop_token, const JobEvents& e, PauseGate&) {
        e.on_started(path);
        for (int64_t i = 1; i <= 6; ++i) {
          e.on_step(step_report(i, 6));
          std::this_thread::sleep_for(std::chrono::milliseconds(30));
        }
        return JobOutcome::finished;
      });
    });
    QVERIFY(vm.isLive());
    QTRY_VERIFY(added.count() > 0);
    QTRY_VERIFY(!vm.isLive());
    QCOMPARE(vm.folder(), QString::fromStdString(path));
    QTRY_COMPARE(vm.evals().size(), size_t(1));
    QTRY_COMPARE(vm.steps().size(), size_t(6));
    QVERIFY(std::fabs(vm.steps().back().loss - 2.0 / 6) < 1e-5);  // from the file, not from the live report
  }

  void stepsDoneAgainReplaceTheOnesReadBefore() {
    lorikeet::test::ScratchFolder folder;
    write_run(folder, 8, "running");
    Session session;
    QueryRunner queries("q");
    MonitorViewModel vm(session, queries);
    const std::string path = folder.path();
    session.start("continued", [path] {  // killed after step 8, its checkpoint is of step 5
      return std::make_unique<FakeJob>([path](std::stop_token stop, const JobEvents& e, PauseGate&) {
        e.on_started(path);
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        e.on_step(step_report(6, 8));
        while (!stop.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
        return JobOutcome::cancelled;
      });
    });
    QTRY_COMPARE(vm.steps().size(), size_t(8));
    QTRY_COMPARE(vm.steps().size(), size_t(6));
    QCOMPARE(vm.steps().back().step, int64_t(6));
    QCOMPARE(vm.smoothedLoss().size(), size_t(6));
    QVERIFY(vm.evals().empty());  // it was of step 8
    session.stop();
    QTRY_COMPARE(session.state(), SessionState::cancelled);
  }

  void takesAHundredThousandStepsInGoodTime() {
    Session session;
    QueryRunner queries("q");
    MonitorViewModel vm(session, queries);
    session.start("flood", [] {
      return std::make_unique<FakeJob>([](std::stop_token stop, const JobEvents&, PauseGate&) {
        while (!stop.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
        return JobOutcome::cancelled;
      });
    });
    QElapsedTimer clock;
    clock.start();
    std::vector<StepReport> part;
    for (int64_t i = 1; i <= 100000; ++i) {
      part.push_back(step_report(i, 100000));
      if (part.size() == 500) {
        emit session.stepsArrived(part);
        part.clear();
      }
    }
    QCOMPARE(vm.steps().size(), size_t(100000));
    QVERIFY2(clock.elapsed() < 3000, QByteArray::number(clock.elapsed()));
    session.stop();
    QTRY_COMPARE(session.state(), SessionState::cancelled);
  }
};

LORIKEET_UI_TEST_MAIN(MonitorViewModelTest)
#include "monitor_view_model_test.moc"
