/// Session: its states come from the worker, nothing is lost on the way, and it stops within a second.
#include "ui/session/session.h"

#include "core/base/error.h"
#include "tests/ui/ui_support.h"
#include "ui/session/query_runner.h"

using namespace lorikeet;
using namespace lorikeet::ui;
using namespace lorikeet::ui::test;

namespace {

JobFactory job_of(FakeJob::Body body) {
  return [body] { return std::make_unique<FakeJob>(body); };
}
/// Steps every few milliseconds until told to stop.
JobOutcome endless(std::stop_token stop, const JobEvents& events, PauseGate& pause) {
  for (int64_t i = 1; !stop.stop_requested(); ++i) {
    events.on_step(step_report(i, 1000));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    pause.wait(stop);
  }
  return JobOutcome::cancelled;
}

}  // namespace

class SessionTest : public QObject {
  Q_OBJECT
 private slots:
  void goesThroughStartingRunningFinished() {
    Session session;
    QList<SessionState> states;
    connect(&session, &Session::stateChanged, this, [&] { states << session.state(); });
    QVERIFY(session.start("a", job_of([](std::stop_token, const JobEvents&, PauseGate&) { return JobOutcome::finished; })));
    QCOMPARE(session.state(), SessionState::starting);  // at once; running must come from the worker
    QTRY_COMPARE(session.state(), SessionState::finished);
    QCOMPARE(states, (QList<SessionState>{SessionState::starting, SessionState::running, SessionState::finished}));
    QCOMPARE(session.result()["steps"].get<int>(), 3);
    QVERIFY(session.canStart());
  }

  void deliversTheLastStepBeforeFinished() {
    Session session;
    int64_t last = 0, last_at_end = -1;
    connect(&session, &Session::stepsArrived, this, [&](const std::vector<StepReport>& steps) { last = steps.back().step; });
    connect(&session, &Session::stateChanged, this, [&] { if (session.state() == SessionState::finished) last_at_end = last; });
    session.start("a", job_of([](std::stop_token, const JobEvents& events, PauseGate&) {
      for (int64_t i = 1; i <= 777; ++i) events.on_step(step_report(i, 777));
      return JobOutcome::finished;
    }));
    QTRY_COMPARE(session.state(), SessionState::finished);
    QCOMPARE(last_at_end, int64_t(777));
  }

  void keepsEveryStepAtAnOrdinaryPace() {
    Session session;
    std::vector<int64_t> seen;
    connect(&session, &Session::stepsArrived, this, [&](const std::vector<StepReport>& steps) { for (const auto& s : steps) seen.push_back(s.step); });
    session.start("a", job_of([](std::stop_token, const JobEvents& events, PauseGate&) {
      for (int64_t i = 1; i <= 200; ++i) {
        events.on_step(step_report(i, 200));
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      return JobOutcome::finished;
    }));
    QTRY_COMPARE(session.state(), SessionState::finished);
    QCOMPARE(seen.size(), size_t(200));
    for (size_t i = 0; i < seen.size(); ++i) QCOMPARE(seen[i], int64_t(i + 1));
  }

  void thinsAFloodButKeepsOrderAndEnd() {
    ReportBox box;
    const JobEvents events = box.callbacks();
    for (int64_t i = 1; i <= 100000; ++i) events.on_step(step_report(i, 100000));
    const Reports r = box.take();
    QVERIFY2(r.steps.size() <= 1024, QByteArray::number(qulonglong(r.steps.size())));
    QVERIFY(r.steps.size() > 256);
    QCOMPARE(r.steps.back().step, int64_t(100000));
    for (size_t i = 1; i < r.steps.size(); ++i) QVERIFY(r.steps[i].step > r.steps[i - 1].step);
    QVERIFY(box.take().steps.empty());
  }

  void pausesAfterAStepAndResumes() {
    Session session;
    QSignalSpy steps(&session, &Session::stepsArrived);
    session.start("a", job_of(endless));
    QTRY_COMPARE(session.state(), SessionState::running);
    QTRY_VERIFY(steps.count() > 0);
    session.pause();
    QCOMPARE(session.state(), SessionState::pausing);  // not paused before the worker stands
    QTRY_COMPARE(session.state(), SessionState::paused);
    const int64_t at = session.lastStep().step;
    QTest::qWait(200);
    QVERIFY2(session.lastStep().step <= at + 1, "steps went on while paused");
    session.resume();
    QTRY_VERIFY(session.lastStep().step > at + 3);
    session.stop();
    QTRY_COMPARE(session.state(), SessionState::cancelled);
  }

  void believesAJobThatSaysItPaused() {
    Session session;
    session.start("a", job_of([](std::stop_token stop, const JobEvents& events, PauseGate& pause) {
      StepReport slow = step_report(1, 10);
      slow.step_ms = 60000;  // silence alone would be believed only after three minutes
      events.on_step(slow);
      while (!pause.paused() && !stop.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      events.on_event({1, "paused", "paused after step 1"});
      pause.wait(stop);
      return JobOutcome::cancelled;
    }));
    QTRY_VERIFY(session.lastStep().step == 1);
    session.pause();
    QTRY_COMPARE(session.state(), SessionState::paused);
  }

  void stopsWithinASecondEvenWhilePaused() {
    Session session;
    session.start("a", job_of(endless));
    QTRY_COMPARE(session.state(), SessionState::running);
    session.pause();
    QTRY_COMPARE(session.state(), SessionState::paused);
    QElapsedTimer clock;
    clock.start();
    session.stop();
    QCOMPARE(session.state(), SessionState::stopping);
    QTRY_COMPARE(session.state(), SessionState::cancelled);
    QVERIFY2(clock.elapsed() < 1000, QByteArray::number(clock.elapsed()));
  }

  void turnsEveryExceptionIntoText_data() {
    QTest::addColumn<int>("which");
    QTest::addColumn<QString>("kind");
    QTest::addColumn<QString>("part");
    QTest::newRow("input") << 0 << "input" << "data.jsonl";
    QTest::newRow("config") << 1 << "config" << "must be";
    QTest::newRow("memory") << 2 << "out_of_memory" << "memory";
    QTest::newRow("standard") << 3 << "internal" << "surprise";
    QTest::newRow("not even an exception") << 4 << "internal" << "unknown";
  }
  void turnsEveryExceptionIntoText() {
    QFETCH(int, which);
    Session session;
    session.start("a", job_of([which](std::stop_token, const JobEvents&, PauseGate&) -> JobOutcome {
      if (which == 0) throw InputError("data.jsonl", "line 7", "is not JSON");
      if (which == 1) throw ConfigError("adapter.rank", "rank must be at least 1");
      if (which == 2) throw std::bad_alloc();
      if (which == 3) throw std::runtime_error("a surprise");
      throw 42;
    }));
    QTRY_COMPARE(session.state(), SessionState::failed);
    QTEST(session.error().kind, "kind");
    QFETCH(QString, part);
    QVERIFY2(session.error().message.contains(part, Qt::CaseInsensitive), qPrintable(session.error().message));
    QVERIFY(session.canStart());
  }

  void aFactoryThatThrowsFailsToo() {
    Session session;
    session.start("a", []() -> std::unique_ptr<Job> { throw RunError("no such folder"); });
    QTRY_COMPARE(session.state(), SessionState::failed);
    QCOMPARE(session.error().message, QString("no such folder"));
  }

  void refusesASecondJobWhileOneIsActive() {
    Session session;
    QVERIFY(session.start("a", job_of(endless)));
    QVERIFY(!session.start("b", job_of(endless)));
    QCOMPARE(session.name(), QString("a"));
    session.stop();
    QTRY_COMPARE(session.state(), SessionState::cancelled);
    QVERIFY(session.start("b", job_of([](std::stop_token, const JobEvents&, PauseGate&) { return JobOutcome::finished; })));
    QTRY_COMPARE(session.state(), SessionState::finished);
  }

  void destructionStopsTheJob() {
    std::atomic<bool> ended{false};
    {
      Session session;
      session.start("a", job_of([&ended](std::stop_token stop, const JobEvents& e, PauseGate& p) {
        const JobOutcome out = endless(stop, e, p);
        ended = true;
        return out;
      }));
      QTRY_COMPARE(session.state(), SessionState::running);
    }
    QVERIFY(ended);
  }

  void theGuiLoopNeverPausesWhileAJobReports100kSteps() {
    Session session;
    qint64 worst = 0;
    QElapsedTimer beat;
    QTimer heart;
    connect(&heart, &QTimer::timeout, this, [&] { worst = std::max(worst, beat.restart()); });
    beat.start();
    heart.start(5);
    session.start("a", job_of([](std::stop_token, const JobEvents& events, PauseGate&) {
      for (int64_t i = 1; i <= 100000; ++i) {
        events.on_step(step_report(i, 100000));
        if (i % 100 == 0) std::this_thread::sleep_for(std::chrono::microseconds(500));
      }
      return JobOutcome::finished;
    }));
    QTRY_COMPARE_WITH_TIMEOUT(session.state(), SessionState::finished, 60000);
    QCOMPARE(session.lastStep().step, int64_t(100000));
    QVERIFY2(worst < 100, qPrintable(QStringLiteral("the loop paused %1 ms").arg(worst)));
  }

  void queriesDropOutdatedAnswers() {
    QueryRunner queries("test");
    QObject asker;
    QList<int> answers;
    for (int i = 0; i < 5; ++i)
      queries.ask(&asker, "q", [i](std::stop_token) { std::this_thread::sleep_for(std::chrono::milliseconds(20)); return i; }, [&](int v) { answers << v; });
    QTRY_COMPARE(answers.size(), 1);
    QTest::qWait(150);
    QCOMPARE(answers, QList<int>{4});
  }

  void queriesForgetADeadAsker() {
    QueryRunner queries("test");
    auto* asker = new QObject;
    bool answered = false;
    queries.ask(asker, "q", [](std::stop_token) { std::this_thread::sleep_for(std::chrono::milliseconds(50)); return 1; }, [&](int) { answered = true; });
    delete asker;
    QTest::qWait(200);
    QVERIFY(!answered);
  }

  void queriesReportErrorsAsText() {
    QueryRunner queries("test");
    QString message;
    queries.ask(this, "q", [](std::stop_token) -> int { throw InputError("x.gguf", "byte 4", "bad magic"); }, [](int) { QFAIL("no answer was due"); },
                [&](const ErrorText& e) { message = e.message; });
    QTRY_VERIFY(message.contains("bad magic"));
  }
};

LORIKEET_UI_TEST_MAIN(SessionTest)
#include "session_test.moc"
