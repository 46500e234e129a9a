/// Export: which run, where to, progress, and the proof that what was written behaves like what was trained.
#pragma once
#include "ui/pages/page.h"
#include "ui/viewmodels/studio.h"

class QComboBox;
class QGridLayout;
class QLabel;
class QLineEdit;
class QProgressBar;
class QPushButton;
class QStackedWidget;
class QTableView;
namespace lorikeet::ui {

class Card;
class EmptyState;

class ExportPage : public Page {
  Q_OBJECT
 public:
  explicit ExportPage(Studio& studio, QWidget* parent = nullptr);
  void entered() override { studio_.home.refresh(); }

 private:
  Card* makeSource();
  Card* makeTarget();
  Card* makeProof();
  void refreshRuns();
  void refresh();

  Studio& studio_;
  ExportViewModel& vm_;
  QStackedWidget* stack_;
  EmptyState* empty_;
  QComboBox* run_;
  QLineEdit* folder_;
  QPushButton *start_, *stop_, *open_, *chat_;
  QProgressBar* progress_;
  QLabel *what_, *verdict_, *why_, *run_text_;
  QGridLayout* figures_;
  QTableView* files_;
  Card* proof_;
};

}  // namespace lorikeet::ui
