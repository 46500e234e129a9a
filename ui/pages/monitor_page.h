/// Monitor: a run while it happens, or one that ended: header figures, charts with one shared cursor, events.
#pragma once
#include <vector>

#include "ui/pages/page.h"
#include "ui/viewmodels/monitor_view_model.h"
#include "ui/widgets/chart.h"

class QLabel;
class QProgressBar;
class QPushButton;
class QSlider;
class QStackedWidget;
class QTableView;
class QTabWidget;
namespace lorikeet::ui {

class EmptyState;
class FigureLabel;

class MonitorPage : public Page {
  Q_OBJECT
 public:
  MonitorPage(MonitorViewModel& vm, Session& session, QWidget* parent = nullptr);
  QString subject() const override { return vm_.runName(); }

 signals:
  void setUpAsked();
  void continueAsked(const QString& folder);
  void chatAsked(const QString& folder);
  void exportAsked(const QString& folder);

 protected:
  void showEvent(QShowEvent* event) override;

 private:
  struct Line { Chart* chart; int series; };
  void makeHeader();
  QWidget* makeFigures();
  QWidget* makeCharts();
  QWidget* makeBelow();
  void refreshHeader();
  void replaceAll();
  void addPoints();
  void refreshCaptions(double at_x);
  void refreshRange();
  void saveTable();
  void savePictures(const QString& suffix);
  QLabel* addFigure(QHBoxLayout* row, const QString& below, FigureLabel** value);

  MonitorViewModel& vm_;
  Session& session_;
  QStackedWidget* stack_;
  EmptyState* empty_;
  QPushButton *x_axis_, *log_, *table_button_, *folder_, *save_, *pause_, *stop_, *again_;
  QSlider* smoothing_;
  QWidget* next_;
  QLabel *smoothing_text_, *state_below_, *step_below_, *left_below_, *best_below_;
  FigureLabel *state_, *step_, *left_, *best_, *tokens_;
  QProgressBar* progress_;
  QStackedWidget* body_;
  QTableView *table_, *events_;
  Chart *loss_, *rate_, *norm_, *speed_, *memory_;
  std::vector<Chart*> charts_;
  int raw_ = 0, smooth_ = 0, eval_ = 0;
  size_t shown_ = 0, shown_evals_ = 0;
  bool dirty_ = true;
};

}  // namespace lorikeet::ui
