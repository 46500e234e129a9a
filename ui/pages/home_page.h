/// Home: three ways to start, the machine, and the runs so far.
#pragma once
#include "ui/pages/page.h"
#include "ui/viewmodels/studio.h"

class QGridLayout;
class QLabel;
namespace lorikeet::ui {

class Card;
class EmptyState;

class HomePage : public Page {
  Q_OBJECT
 public:
  explicit HomePage(Studio& studio, QWidget* parent = nullptr);
  void entered() override { studio_.home.refresh(); }

 signals:
  void openConfigAsked();

 protected:
  void resizeEvent(QResizeEvent* event) override;

 private:
  QWidget* makeStart();
  void refreshRuns();
  void refreshDevice();
  void placeCards();
  QWidget* makeRunCard(const RunRow& run);

  Studio& studio_;
  Card* device_;
  QGridLayout *device_lines_, *cards_;
  QLabel *runs_title_, *no_runs_;
  QList<QWidget*> run_cards_;
  int columns_ = 0;
};

}  // namespace lorikeet::ui
