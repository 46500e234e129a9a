/// Set up: the form at the left, *This run* at the right.
#pragma once
#include <vector>

#include "ui/pages/page.h"
#include "ui/viewmodels/setup_view_model.h"

class QLabel;
class QLineEdit;
class QPushButton;
class QScrollArea;
class QSplitter;
namespace lorikeet::ui {

class RunPanel;
class SectionCard;
class FieldRow;

class SetupPage : public Page {
  Q_OBJECT
 public:
  explicit SetupPage(SetupViewModel& vm, QWidget* parent = nullptr);
  QString subject() const override { return vm_.runName(); }
  RunPanel* runPanel() const { return panel_; }
  QSplitter* splitter() const { return splitter_; }
  void focusSearch();
  /// Scrolls to a field, opens the part it is in, and gives it the focus.
  void showField(const QString& key);
  std::vector<FieldRow*> rows() const;

 signals:
  void lookInside();

 private:
  void makeHeader();
  QWidget* makeForm();
  void refreshPresets();
  void search(const QString& words);
  void showChanges();

  SetupViewModel& vm_;
  QSplitter* splitter_;
  QScrollArea* form_ = nullptr;
  QLineEdit* search_ = nullptr;
  QPushButton* preset_ = nullptr;
  QLabel* nothing_found_ = nullptr;
  RunPanel* panel_;
  std::vector<SectionCard*> sections_;
};

}  // namespace lorikeet::ui
