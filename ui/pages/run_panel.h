/// *This run*, always at the right of the form: what the planner says of the settings as they are now, and Start.
#pragma once
#include "ui/viewmodels/setup_view_model.h"
#include "ui/widgets/card.h"

class QComboBox;
class QGridLayout;
namespace lorikeet::ui {

class FigureLabel;
class MemoryBar;

class RunPanel : public Card {
  Q_OBJECT
 public:
  explicit RunPanel(SetupViewModel& vm, QWidget* parent = nullptr);
  /// False with a reason while another job is in the worker.
  void setCanStart(bool can, const QString& why);
  QPushButton* startButton() const { return start_; }

 signals:
  void startAsked();
  void copyAsked();
  void saveAsked();
  void fieldAsked(const QString& key);
  void changesAsked();

 private:
  FigureLabel* addFigure(const QString& name);
  void addCards();
  void refresh();
  void showFindings(const std::vector<Finding>& findings);
  void addFinding(const Finding& finding);

  SetupViewModel& vm_;
  MemoryBar* memory_;
  QLabel *waiting_, *changed_from_, *elsewhere_;
  QGridLayout* figures_;
  QComboBox* card_;
  FigureLabel *device_, *time_, *disk_, *downloads_, *steps_;
  QPushButton *changes_, *start_;
  QVBoxLayout* findings_;
  bool can_start_ = true;
  QString blocked_;
};

}  // namespace lorikeet::ui
