/// Chat: talk to the base model or a run's adapter, side by side if wanted, with the raw prompt one click away.
#pragma once
#include <vector>

#include "ui/pages/page.h"
#include "ui/viewmodels/studio.h"

class QComboBox;
class QLabel;
class QPlainTextEdit;
class QPushButton;
class QScrollArea;
namespace lorikeet::ui {

class Card;
class EmptyState;
class NumberEdit;

class ChatPage : public Page {
  Q_OBJECT
 public:
  explicit ChatPage(Studio& studio, QWidget* parent = nullptr);
  void entered() override;

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  struct TurnView { Card* card; QLabel *answer, *base, *footnote, *prompt; QWidget* base_box; };
  void makeHeader();
  QWidget* makeBegin();
  QWidget* makeInput();
  QWidget* makeSide();
  void refreshModels();
  void beginWithLatestRun();
  void refreshBegin();
  void chooseModel(int index);
  void rebuild();
  void update(int index);
  void refreshBusy();
  void send();
  TurnView makeTurn(const ChatTurn& turn);

  Studio& studio_;
  ChatViewModel& vm_;
  QComboBox* model_;
  QPushButton *compare_, *send_, *stop_, *again_, *clear_;
  QPlainTextEdit *input_, *system_;
  NumberEdit *length_, *temperature_, *top_p_, *seed_;
  QScrollArea* area_;
  QVBoxLayout* turns_box_;
  QWidget* turns_widget_;
  QLabel *status_, *hint_, *examples_title_;
  QVBoxLayout* examples_;
  QWidget* begin_;
  std::vector<TurnView> turns_;
  bool chosen_ = false;  // the model, by hand
};

}  // namespace lorikeet::ui
