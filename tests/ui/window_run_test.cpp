/// A real training run in the window: the loop keeps beating, the history is there again, an interrupted run is offered;
/// and how long the program takes to its first window.
#include <QComboBox>
#include <QProcess>

#include "core/base/files.h"
#include "core/ops/cpu_kernels.h"
#include "tests/core/run/tiny_run.h"
#include "tests/support/support.h"
#include "tests/ui/ui_support.h"
#include "ui/main_window.h"
#include "ui/pages/page.h"
#include "ui/widgets/banner.h"
#include "ui/widgets/theme.h"

using namespace lorikeet;
using namespace lorikeet::ui;

namespace {

constexpr int kRows = 400;
constexpr int kLongestPauseMs = 100;
constexpr int kFirstWindowMs = 500;

/// Measures the longest time the event loop was away.
class Heart : public QObject {
 public:
  Heart() {
    timer_.callOnTimeout(this, [this] { worst_ = std::max(worst_, clock_.restart()); });
    clock_.start();
    timer_.start(5);
  }
  qint64 worst() const { return worst_; }

 private:
  QTimer timer_;
  QElapsedTimer clock_;
  qint64 worst_ = 0;
};

}  // namespace

class WindowRunTest : public QObject {
  Q_OBJECT
  std::unique_ptr<lorikeet::test::ScratchFolder> scratch_;
  RunConfig config_;

 private slots:
  void initTestCase() {
    register_cpu_kernels();
    Theme::instance();
  }
  void init() {
    scratch_ = std::make_unique<lorikeet::test::ScratchFolder>();
    qputenv("XDG_DATA_HOME", QByteArray::fromStdString(scratch_->path("home")));
    qputenv("XDG_CACHE_HOME", QByteArray::fromStdString(scratch_->path("cache")));
    lorikeet::test::write_tiny_model(scratch_->path("model"));
    lorikeet::test::write_tiny_data(scratch_->path("data.jsonl"), kRows);
    config_ = lorikeet::test::tiny_config(scratch_->path("model"), scratch_->path("data.jsonl"));
    config_.data.format = "tokens";
    config_.training.epochs = 6;
  }

  void theLoopKeepsBeatingDuringARealRun() {
    Studio studio;
    MainWindow window(studio);
    window.resize(1280, 800);
    window.show();
    studio.setup.setConfig(config_, "test");
    for (const QString& id : window.pageIds()) window.showPage(id);  // the first drawing of a page is not part of the run
    QTest::qWait(300);
    const Heart heart;
    studio.startTraining();
    QCOMPARE(window.currentPage(), QString("monitor"));
    QTRY_VERIFY_WITH_TIMEOUT(studio.session.lastStep().step > 3, 30000);
    studio.session.pause();
    QTRY_COMPARE_WITH_TIMEOUT(studio.session.state(), SessionState::paused, 30000);
    studio.session.resume();
    QTRY_COMPARE_WITH_TIMEOUT(studio.session.state(), SessionState::finished, 120000);
    QTRY_COMPARE(studio.monitor.stateText(), QString("Finished"));
    QCOMPARE(qint64(studio.monitor.steps().size()), studio.monitor.totalSteps());
    QVERIFY(!studio.monitor.evals().empty());
    const auto event_at = [&](int row) { return studio.monitor.eventsModel().index(row, 3).data().toString(); };
    QCOMPARE(event_at(0), QString("checkpoint saved at step 0"));  // not in the file that is read again at the end
    QCOMPARE(event_at(studio.monitor.eventsModel().rowCount() - 1), QStringLiteral("checkpoint saved at step %1").arg(studio.monitor.totalSteps()));
    QVERIFY2(heart.worst() < kLongestPauseMs, qPrintable(QStringLiteral("the loop paused %1 ms").arg(heart.worst())));
    window.showPage("chat");  // from a run that has ended one talks to it, until one chooses the base
    QTRY_COMPARE(studio.chat.adapter(), studio.session.runFolder());
    const auto boxes = window.findChildren<QComboBox*>();
    const auto box = std::find_if(boxes.begin(), boxes.end(), [](const QComboBox* b) { return b->isVisible() && b->accessibleName() == "Model"; });
    QVERIFY(box != boxes.end());
    QComboBox* model = *box;
    QTRY_VERIFY(model->currentIndex() > 0);
    model->setCurrentIndex(0);
    emit model->activated(0);
    QTRY_VERIFY(!studio.chat.hasAdapter());
    window.showPage("monitor");
    window.showPage("chat");
    QTest::qWait(300);
    QVERIFY(!studio.chat.hasAdapter());
    qInfo("longest pause of the loop: %lld ms in %d steps", static_cast<long long>(heart.worst()), int(studio.monitor.steps().size()));
  }

  void aKilledRunIsOfferedAndGoesOn() {
    const std::string run = scratch_->path("home") + "/lorikeet/runs/cut";
    {
      std::stop_source stop;
      const auto job = make_train_job(config_, {}, run);
      JobEvents events;
      events.on_step = [&](const StepReport& s) { if (s.step == 7) stop.request_stop(); };
      QVERIFY(job->run(stop.get_token(), events) == JobOutcome::cancelled);
      Json info = read_json_file(run + "/run.json");  // as a killed program leaves it
      info["state"] = "running";
      write_file_atomic(run + "/run.json", dump_json(info, 2));
    }
    Studio studio;
    MainWindow window(studio);
    window.show();
    Banner* banner = window.page("home")->banner();
    QTRY_VERIFY(banner->isVisible());
    QVERIFY2(banner->text().contains("step 7"), qPrintable(banner->text()));
    studio.openPath(QString::fromStdString(run));
    QTRY_COMPARE(studio.monitor.steps().size(), size_t(7));
    QCOMPARE(studio.monitor.stateText(), QString("Interrupted"));
    emit banner->actionClicked();
    QTRY_COMPARE_WITH_TIMEOUT(studio.session.state(), SessionState::finished, 120000);
    QTRY_COMPARE(qint64(studio.monitor.steps().size()), studio.monitor.totalSteps());
    QCOMPARE(studio.monitor.steps().front().step, int64_t(1));
  }

  void theFirstWindowIsThereInHalfASecond() {
    const QString program = QStringLiteral(LORIKEET_STUDIO);
    if (!QFileInfo::exists(program)) QSKIP("the program is not built in this configuration");
    qint64 best = std::numeric_limits<qint64>::max();
    for (int i = 0; i < 5 && best >= kFirstWindowMs / 2; ++i) {  // the best of five: other programs may be busy
      QElapsedTimer clock;
      clock.start();
      QProcess process;
      process.start(program, {"--time-to-window"});
      QVERIFY(process.waitForFinished(30000));
      QCOMPARE(process.exitCode(), 0);
      best = std::min(best, clock.elapsed());
    }
    qInfo("from start to first drawn window and end: %lld ms", static_cast<long long>(best));
    QVERIFY2(best < kFirstWindowMs, qPrintable(QStringLiteral("%1 ms").arg(best)));
  }
};

LORIKEET_UI_TEST_MAIN(WindowRunTest)
#include "window_run_test.moc"
