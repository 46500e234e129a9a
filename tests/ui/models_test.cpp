/// The item models, watched by Qt's own tester.
#include <QAbstractItemModelTester>

#include "tests/ui/ui_support.h"
#include "ui/models/metrics_model.h"
#include "ui/models/rows_model.h"
#include "ui/models/runs_model.h"

using namespace lorikeet;
using namespace lorikeet::ui;
using namespace lorikeet::ui::test;

class ModelsTest : public QObject {
  Q_OBJECT
 private slots:
  void runsKeepTheModelContract() {
    RunsModel model;
    QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
    const Json one = {{"path", "/r/a"}, {"name", "a"}, {"state", "finished"}, {"started", 1.0e9}, {"step", 10}, {"total_steps", 20},
                      {"final_loss", 0.5}, {"best_eval_loss", nullptr}, {"can_continue", false}, {"running", false}, {"spark", {1.0, 0.5}}};
    model.setRuns({{"runs", {one, one}}});
    QCOMPARE(model.rowCount(), 2);
    QCOMPARE(model.index(0, RunsModel::loss_column).data().toString(), QString("0.500"));
    QCOMPARE(model.index(0, RunsModel::loss_column).data(RunsModel::raw_role).toDouble(), 0.5);
    QCOMPARE(model.index(0, 0).data(RunsModel::path_role).toString(), QString("/r/a"));
    model.setRuns(Json::object());
    QCOMPARE(model.rowCount(), 0);
  }

  void runsTakeWhateverAFolderSays() {
    RunsModel model;
    model.setRuns({{"runs", {{{"path", 3}, {"final_loss", "x"}, {"spark", {nullptr, 1.0}}}}}});
    QCOMPARE(model.rowCount(), 1);
    QVERIFY(std::isnan(model.rows()[0].final_loss));
    QVERIFY(std::isnan(model.rows()[0].spark[0]));
  }

  void aRunThatSaysRunningButIsHeldByNobodyWasInterrupted() {
    RunRow run;
    run.state = "running";
    QCOMPARE(run_state_text(run), QString("interrupted"));
    QVERIFY(was_cut_off(run));
    run.state = "interrupted";
    QVERIFY(was_cut_off(run));
    run.state = "running", run.running = true;
    QVERIFY(!was_cut_off(run));
    QCOMPARE(run_state_text(run), QString("running"));
  }

  void aRunIsCalledByItsOwnNameOrByItsData() {
    QCOMPARE(run_title("my run", "a/appointments.jsonl"), QString("my run"));
    QCOMPARE(run_title("SmolLM2-appointments-20261124-134706", "appointments.jsonl"), QString("appointments"));
    QCOMPARE(run_title("SmolLM2-appointments-20261124-134706-2", "/x/appointments.v2.jsonl"), QString("appointments.v2"));
    QCOMPARE(run_title("SmolLM2-20261124-134706", ""), QString("SmolLM2-20261124-134706"));
  }

  void metricsShowEvaluationsBesideTheirSteps() {
    MetricsModel model;
    model.append({step_report(1, 3), step_report(2, 3)});
    model.addEvals({{2, 0.25, 100, 0}});
    QCOMPARE(model.index(0, MetricsModel::eval_column).data().toString(), QString());
    QCOMPARE(model.index(1, MetricsModel::eval_column).data().toString(), QString("0.2500"));
    model.removeFrom(2);
    model.append({step_report(2, 3)});
    QCOMPARE(model.index(1, MetricsModel::eval_column).data().toString(), QString());
  }

  void metricsInsertRowsAndNeverReset() {
    MetricsModel model;
    QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
    QSignalSpy inserted(&model, &QAbstractItemModel::rowsInserted), reset(&model, &QAbstractItemModel::modelReset);
    model.append({step_report(1, 3), step_report(2, 3)});
    model.append({});
    model.append({step_report(3, 3)});
    QCOMPARE(inserted.count(), 2);
    QCOMPARE(reset.count(), 0);
    QCOMPARE(model.rowCount(), 3);
    model.removeFrom(3);
    model.removeFrom(9);
    QCOMPARE(model.rowCount(), 2);
    model.append({step_report(3, 3)});
    QCOMPARE(model.index(2, MetricsModel::step_column).data().toString(), QString("3"));
    QCOMPARE(model.index(0, MetricsModel::rate_column).data(MetricsModel::raw_role).toDouble(), 2e-4);
  }

  void rowsShowTextsAndSortByRawValues() {
    RowsModel model({"Name", "Size"});
    QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
    model.setFigureColumns({1});
    model.setRows({{{"a", "2 kB"}, {"a", 2000}, {}, {}}});
    model.append({{"b", "10 B"}, {"b", 10}, {}, {}});
    QCOMPARE(model.rowCount(), 2);
    QVERIFY(model.index(1, 1).data(RowsModel::raw_role).toInt() < model.index(0, 1).data(RowsModel::raw_role).toInt());
    QVERIFY(model.index(0, 1).data(Qt::TextAlignmentRole).toInt() & Qt::AlignRight);
    QCOMPARE(model.headerData(1, Qt::Horizontal, Qt::DisplayRole).toString(), QString("Size"));
  }
};

LORIKEET_UI_TEST_MAIN(ModelsTest)
#include "models_test.moc"
