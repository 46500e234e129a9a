/// The whole window, without a display: every page opens, every control has a name, commands are unique and reachable.
#include "ui/main_window.h"

#include <QAbstractButton>
#include <QAbstractItemView>
#include <QAction>
#include <QComboBox>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QScrollArea>
#include <QScrollBar>

#include "tests/ui/ui_support.h"
#include "ui/pages/page.h"
#include "ui/pages/setup_page.h"
#include "ui/widgets/command_palette.h"
#include "ui/widgets/field_row.h"
#include "ui/widgets/theme.h"

using namespace lorikeet;
using namespace lorikeet::ui;
using namespace lorikeet::ui::test;

class MainWindowTest : public QObject {
  Q_OBJECT
  std::unique_ptr<Studio> studio_;
  std::unique_ptr<MainWindow> window_;

 private slots:
  void init() {
    Theme::instance();
    studio_ = std::make_unique<Studio>();
    window_ = std::make_unique<MainWindow>(*studio_);
  }
  void cleanup() {
    window_.reset();
    studio_.reset();
  }

  void opensEveryPage() {
    window_->show();
    QCOMPARE(window_->pageIds(), (QStringList{"home", "setup", "data", "monitor", "chat", "export"}));
    for (const QString& id : window_->pageIds()) {
      window_->showPage(id);
      QCOMPARE(window_->currentPage(), id);
      QVERIFY(window_->page(id)->isVisible());
      QVERIFY(window_->page(id)->headerWidget()->isVisible());
    }
  }

  void everyFocusableControlHasAName() {
    window_->show();
    for (const QString& id : window_->pageIds()) window_->showPage(id);
    int checked = 0;
    for (QWidget* w : window_->findChildren<QWidget*>()) {
      if (w->focusPolicy() == Qt::NoFocus || qobject_cast<QScrollBar*>(w) || w->objectName().startsWith("qt_") || qobject_cast<QHeaderView*>(w)) continue;
      if (w->parentWidget() && (qobject_cast<QComboBox*>(w->parentWidget()) || w->parentWidget()->objectName().startsWith("qt_"))) continue;
      if (w->inherits("QComboBoxPrivateContainer") || w->inherits("QComboBoxListView") || w->inherits("QSplitterHandle") || w->inherits("QTableCornerButton")) continue;
      if (qobject_cast<QAbstractButton*>(w) && w->inherits("QLineEditIconButton")) continue;
      const auto* button = qobject_cast<QAbstractButton*>(w);
      const bool named = !w->accessibleName().isEmpty() || (button && !button->text().isEmpty()) || w->inherits("QMenu");
      QVERIFY2(named, qPrintable(QStringLiteral("%1 \"%2\" in %3").arg(w->metaObject()->className(), w->objectName(), w->parentWidget() ? w->parentWidget()->metaObject()->className() : "")));
      ++checked;
    }
    QVERIFY2(checked > 80, QByteArray::number(checked));
  }

  void noTwoCommandsShareAShortcut() {
    QMap<QString, QString> seen;
    for (const QAction* a : window_->commands()) {
      if (a->shortcut().isEmpty()) continue;
      const QString keys = a->shortcut().toString();
      QVERIFY2(!seen.contains(keys), qPrintable(keys + ": " + a->text() + " and " + seen.value(keys)));
      seen[keys] = a->text();
    }
    QVERIFY(seen.contains("Ctrl+K"));
  }

  void thePaletteRunsACommand() {
    window_->show();
    auto* palette = window_->findChild<CommandPalette*>();
    palette->open(window_->commands());
    auto* line = palette->findChild<QLineEdit*>();
    QTest::keyClicks(line, "go chat");
    QTest::keyClick(line, Qt::Key_Return);
    QCOMPARE(window_->currentPage(), QString("chat"));
    QVERIFY(!palette->isVisible());
  }

  void theFormShowsTheConfigAndUndoBringsItBack() {
    auto* page = static_cast<SetupPage*>(window_->page("setup"));
    FieldRow* rank = nullptr;
    for (FieldRow* row : page->rows())
      if (row->field().key == "adapter.rank") rank = row;
    QVERIFY(rank);
    auto* line = qobject_cast<QLineEdit*>(rank->control());
    QCOMPARE(line->text(), QString("16"));
    window_->show();
    window_->showPage("setup");
    line->setFocus();
    line->selectAll();
    QTest::keyClicks(line, "64");
    QCOMPARE(studio_->setup.config().adapter.rank, int64_t(64));
    studio_->setup.undoStack().undo();
    QCOMPARE(line->text(), QString("16"));
    QCOMPARE(studio_->setup.config().adapter.rank, int64_t(16));
  }

  void everyFieldOfTheTableIsInTheForm() {
    auto* page = static_cast<SetupPage*>(window_->page("setup"));
    // The model and the data have boxes of their own.
    QCOMPARE(page->rows().size() + 2, config_fields().size());
  }

  void searchShowsOnlyWhatMatches() {
    auto* page = static_cast<SetupPage*>(window_->page("setup"));
    window_->show();
    window_->showPage("setup");
    page->headerWidget()->findChild<QLineEdit*>()->setText("weight decay");
    int shown = 0;
    for (FieldRow* row : page->rows()) shown += row->isVisible();
    QCOMPARE(shown, 1);
    page->headerWidget()->findChild<QLineEdit*>()->clear();
    shown = 0;
    for (FieldRow* row : page->rows()) shown += row->isVisible();
    QVERIFY(shown > 5);
  }

  void fitsASmallWindow() {
    window_->show();
    for (const QString& id : window_->pageIds()) window_->showPage(id);
    const double unit = units(1);
    QVERIFY2(window_->minimumSizeHint().width() <= 256 * unit, qPrintable(QStringLiteral("%1 px wide at unit %2").arg(window_->minimumSizeHint().width()).arg(unit)));
    QVERIFY2(window_->minimumSizeHint().height() <= 170 * unit, qPrintable(QStringLiteral("%1 px high at unit %2").arg(window_->minimumSizeHint().height()).arg(unit)));
  }

  void theFormIsNotCutInASmallWindow() {
    const double unit = units(1);
    window_->resize(int(256 * unit), int(170 * unit));
    window_->show();
    window_->showPage("setup");
    QCoreApplication::processEvents();
    for (const QScrollArea* area : window_->page("setup")->findChildren<QScrollArea*>())
      QVERIFY2(area->widget()->width() <= area->viewport()->width(),
               qPrintable(QStringLiteral("%1 in %2").arg(area->widget()->width()).arg(area->viewport()->width())));
  }

  void closingDuringARunAsks() {
    window_->show();
    studio_->session.start("a", [] {
      return std::make_unique<FakeJob>([](std::stop_token stop, const JobEvents&, PauseGate&) {
        while (!stop.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
        return JobOutcome::cancelled;
      });
    });
    QTRY_COMPARE(studio_->session.state(), SessionState::running);
    QVERIFY(!window_->close());
    QVERIFY(window_->isVisible());
    studio_->session.stop();
    QTRY_COMPARE(studio_->session.state(), SessionState::cancelled);
    QVERIFY(window_->close());
  }

  void theLoopKeepsBeatingWhileMonitorDrawsAFlood() {
    window_->resize(1280, 800);
    window_->show();
    qint64 worst = 0;
    QElapsedTimer beat;
    QTimer heart;
    studio_->session.start("flood", [] {
      return std::make_unique<FakeJob>([](std::stop_token, const JobEvents& events, PauseGate&) {
        for (int64_t i = 1; i <= 100000; ++i) {
          events.on_step(step_report(i, 100000));
          if (i % 200 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        return JobOutcome::finished;
      });
    });
    window_->showPage("monitor");
    QTest::qWait(300);  // the first drawing of the page is not part of the run
    connect(&heart, &QTimer::timeout, this, [&] { worst = std::max(worst, beat.restart()); });
    beat.start();
    heart.start(5);
    QTRY_COMPARE_WITH_TIMEOUT(studio_->session.state(), SessionState::finished, 60000);
    heart.stop();
    QVERIFY2(worst < 100, qPrintable(QStringLiteral("the loop paused %1 ms").arg(worst)));
  }
};

LORIKEET_UI_TEST_MAIN(MainWindowTest)
#include "main_window_test.moc"
