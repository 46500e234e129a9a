/// Data: the set as the model will see it, sample by sample and token by token, with its lengths and what is odd in it.
#pragma once
#include "ui/pages/page.h"
#include "ui/viewmodels/data_view_model.h"

class QLabel;
class QPushButton;
class QSplitter;
class QStackedWidget;
class QTableView;
namespace lorikeet::ui {

class Card;
class EmptyState;
class Histogram;
class TokenView;

class DataPage : public Page {
  Q_OBJECT
 public:
  explicit DataPage(DataViewModel& vm, QWidget* parent = nullptr);
  QString subject() const override;
  void entered() override { emit configAsked(); }
  QSplitter* splitter() const { return splitter_; }

 signals:
  void configAsked();   // the page wants the config of Set up
  void chooseAsked();

 private:
  QWidget* makeTable();
  QWidget* makeSample();
  QWidget* makeSide();
  void refresh();
  void showSample(int row);
  void showFindings();

  DataViewModel& vm_;
  QStackedWidget* stack_;
  EmptyState* empty_;
  QLabel *summary_, *paging_, *loading_, *sample_title_;
  QTableView* table_;
  QPushButton *previous_, *next_;
  TokenView* tokens_;
  Histogram* histogram_;
  QVBoxLayout* findings_;
  QSplitter* splitter_;
};

}  // namespace lorikeet::ui
