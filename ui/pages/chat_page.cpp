#include "ui/pages/chat_page.h"

#include <QComboBox>
#include <QGridLayout>
#include <QKeyEvent>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QScrollArea>
#include <QScrollBar>
#include <QTimer>

#include "ui/widgets/banner.h"
#include "ui/widgets/card.h"
#include "ui/widgets/labels.h"
#include "ui/widgets/number_edit.h"
#include "ui/widgets/theme.h"
#include "ui/widgets/wheel_guard.h"

namespace lorikeet::ui {

ChatPage::ChatPage(Studio& studio, QWidget* parent)
    : Page(tr("Chat"), QStringLiteral("chat"), parent), studio_(studio), vm_(studio.chat) {
  makeHeader();
  auto* row = new QHBoxLayout;
  row->setSpacing(units(4));
  auto* left = new QVBoxLayout;
  left->setSpacing(units(3));
  turns_widget_ = new QWidget;
  turns_widget_->setObjectName(QStringLiteral("scrolled"));
  turns_box_ = new QVBoxLayout(turns_widget_);
  turns_box_->setContentsMargins(0, 0, units(1), 0);
  turns_box_->setSpacing(units(3));
  turns_box_->addWidget(makeBegin(), 1);
  turns_box_->addStretch(0);
  area_ = new QScrollArea;
  area_->setObjectName(QStringLiteral("form"));
  area_->setWidgetResizable(true);
  area_->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  area_->setFocusPolicy(Qt::NoFocus);
  area_->setWidget(turns_widget_);
  left->addWidget(area_, 1);
  left->addWidget(makeInput());
  row->addLayout(left, 1);
  row->addWidget(makeSide());
  column()->addLayout(row, 1);
  connect(&vm_, &ChatViewModel::turnsChanged, this, &ChatPage::rebuild);
  connect(&vm_, &ChatViewModel::turnUpdated, this, &ChatPage::update);
  connect(&vm_, &ChatViewModel::busyChanged, this, &ChatPage::refreshBusy);
  connect(&vm_, &ChatViewModel::modelChanged, this, [this] {
    refreshModels();
    refreshBegin();
  });
  connect(&vm_, &ChatViewModel::problem, this, [this](const QString& what, const ErrorText& e) { banner()->showError(what, e); });
  connect(&studio_.home, &HomeViewModel::runsChanged, this, &ChatPage::refreshModels);
  refreshModels();
  refreshBegin();
  refreshBusy();
}

void ChatPage::entered() {
  studio_.home.refresh();
  if (!vm_.hasAdapter()) studio_.chatWithBase();  // Set up may have changed
  input_->setFocus();
}

void ChatPage::makeHeader() {
  model_ = new QComboBox;
  model_->setAccessibleName(tr("Model"));
  model_->setMinimumWidth(units(60));
  WheelGuard::protect(model_);
  connect(model_, &QComboBox::activated, this, &ChatPage::chooseModel);
  compare_ = make_button(tr("Beside the base"), "flat");
  compare_->setCheckable(true);
  compare_->setToolTip(tr("Answers each question twice, tuned and base, with the same seed."));
  connect(compare_, &QPushButton::toggled, this, [this](bool on) { vm_.setCompare(on); });
  clear_ = make_button(tr("New chat"));
  connect(clear_, &QPushButton::clicked, &vm_, &ChatViewModel::clear);
  header()->addWidget(model_);
  header()->addWidget(compare_);
  header()->addWidget(clear_);
}

/// Index 0 is the base model of the config; the others are runs with an adapter.
void ChatPage::refreshModels() {
  model_->clear();
  model_->addItem(tr("Base model of Set up"), QString());
  for (const RunRow& run : studio_.home.runs().rows())
    if (run.step > 0) model_->addItem(tr("%1, step %2").arg(run_label(run)).arg(run.step), run.path);
  int at = 0;
  for (int i = 1; i < model_->count(); ++i)
    if (model_->itemData(i).toString() == vm_.adapter()) at = i;
  if (vm_.hasAdapter() && at == 0) {
    model_->addItem(vm_.modelName(), QStringLiteral("."));
    at = model_->count() - 1;
  }
  model_->setCurrentIndex(at);
  compare_->setEnabled(vm_.hasAdapter());
  beginWithLatestRun();
}

/// Whoever comes here from a run that has ended wants to talk to it, unless they chose otherwise or talk already.
void ChatPage::beginWithLatestRun() {
  const QString& latest = studio_.session.runFolder();
  if (!isVisible() || chosen_ || latest.isEmpty() || studio_.session.isActive() || vm_.hasAdapter() || vm_.isBusy() || !vm_.turns().empty()) return;
  for (const RunRow& run : studio_.home.runs().rows())
    if (run.step > 0 && run.path == latest) return studio_.chatWithRun(latest);
}

void ChatPage::chooseModel(int index) {
  chosen_ = true;
  const QString run = model_->itemData(index).toString();
  if (run == ".") return;
  if (!run.isEmpty()) return studio_.chatWithRun(run);
  studio_.chatWithBase();
}

/// What stands in an empty conversation: how to begin, and questions out of the data.
QWidget* ChatPage::makeBegin() {
  begin_ = new QWidget;
  auto* column = new QVBoxLayout(begin_);
  column->setSpacing(units(2));
  column->addStretch(2);
  hint_ = make_label(tr("Ask something below. The first answer takes a moment longer: the model is loaded then."), "muted");
  hint_->setAlignment(Qt::AlignCenter);
  hint_->setWordWrap(true);
  column->addWidget(hint_);
  examples_title_ = make_label({}, "small");
  examples_title_->setAlignment(Qt::AlignCenter);
  column->addSpacing(units(2));
  column->addWidget(examples_title_);
  examples_ = new QVBoxLayout;
  examples_->setSpacing(units(1.5));
  column->addLayout(examples_);
  column->addStretch(3);
  return begin_;
}

void ChatPage::refreshBegin() {
  if (system_->toPlainText() != vm_.systemPrompt()) system_->setPlainText(vm_.systemPrompt());
  while (QLayoutItem* item = examples_->takeAt(0)) {
    if (item->widget()) item->widget()->deleteLater();
    delete item;
  }
  examples_title_->setVisible(!vm_.examples().isEmpty());
  examples_title_->setText(vm_.examplesHeldOut() ? tr("Or ask one of the held-out data:") : tr("Or ask one of the training data:"));
  for (const QString& question : vm_.examples()) {
    auto* button = make_button(fontMetrics().elidedText(question.simplified(), Qt::ElideRight, units(120)));
    button->setAccessibleName(tr("Ask: %1").arg(question));
    button->setToolTip(question);
    connect(button, &QPushButton::clicked, this, [this, question] {
      input_->setFocus();  // the button goes away with the first turn
      vm_.ask(question);
    });
    examples_->addWidget(button, 0, Qt::AlignHCenter);
  }
}

QWidget* ChatPage::makeInput() {
  auto* card = new Card;
  input_ = new QPlainTextEdit;
  input_->setPlaceholderText(tr("Write a message. Enter sends, Shift+Enter begins a new line."));
  input_->setAccessibleName(tr("Message"));
  input_->setTabChangesFocus(true);
  input_->setFixedHeight(units(17));
  input_->installEventFilter(this);
  card->body()->addWidget(input_);
  auto* row = new QHBoxLayout;
  row->setSpacing(units(2));
  status_ = make_label({}, "small");
  row->addWidget(status_, 1);
  again_ = make_button(tr("Answer again"), "flat");
  stop_ = make_button(tr("Stop"));
  send_ = make_button(tr("Send"), "primary");
  for (QPushButton* b : {again_, stop_, send_}) row->addWidget(b);
  connect(again_, &QPushButton::clicked, &vm_, &ChatViewModel::regenerate);
  connect(stop_, &QPushButton::clicked, &vm_, &ChatViewModel::stop);
  connect(send_, &QPushButton::clicked, this, &ChatPage::send);
  connect(input_, &QPlainTextEdit::textChanged, this, &ChatPage::refreshBusy);
  card->body()->addLayout(row);
  return card;
}

QWidget* ChatPage::makeSide() {
  auto* card = new Card(tr("Answers"));
  card->setFixedWidth(units(66));
  auto* grid = new QGridLayout;
  grid->setHorizontalSpacing(units(2));
  grid->setVerticalSpacing(units(1));
  int row = 0;
  SamplingOptions& o = vm_.sampling();
  const auto add = [&](const QString& name, const QString& help, bool whole, double min, double max, double value, auto set) {
    auto* label = make_label(name);
    auto* edit = new NumberEdit(whole, min, max);
    edit->setNumber(value);
    edit->setAccessibleName(name);
    edit->setAccessibleDescription(help);
    label->setBuddy(edit);
    connect(edit, &NumberEdit::numberEdited, this, set);
    grid->addWidget(label, row, 0);
    grid->addWidget(edit, row++, 1);
    QLabel* words = make_label(help, "small");
    words->setWordWrap(true);
    grid->addWidget(words, row++, 0, 1, 2);
    return edit;
  };
  length_ = add(tr("Longest answer"), tr("In tokens."), true, 1, 32768, double(o.max_new_tokens), [&o](double v) { o.max_new_tokens = int64_t(v); });
  temperature_ = add(tr("Temperature"), tr("0 always takes the likeliest token and repeats exactly; higher is freer."), false, 0, 5, o.temperature, [&o](double v) { o.temperature = v; });
  top_p_ = add(tr("Top p"), tr("Draws only from the likeliest tokens that together reach this share."), false, 0.01, 1, o.top_p, [&o](double v) { o.top_p = v; });
  seed_ = add(tr("Seed"), tr("The same seed draws the same answer."), true, 0, 9007199254740991.0, double(o.seed), [&o](double v) { o.seed = uint64_t(v); });
  card->body()->addLayout(grid);
  card->body()->addWidget(make_rule());
  card->body()->addWidget(make_label(tr("System prompt")));
  system_ = new QPlainTextEdit;
  system_->setAccessibleName(tr("System prompt"));
  system_->setTabChangesFocus(true);
  system_->setPlaceholderText(tr("None"));
  system_->setFixedHeight(units(26));
  connect(system_, &QPlainTextEdit::textChanged, this, [this] { vm_.setSystemPrompt(system_->toPlainText()); });
  card->body()->addWidget(system_);
  card->body()->addStretch(1);
  return card;
}

ChatPage::TurnView ChatPage::makeTurn(const ChatTurn& turn) {
  TurnView v{};
  v.card = new Card;
  v.card->body()->addWidget(make_label(tr("You"), "small"));
  v.card->body()->addWidget(make_paragraph(turn.question, "strong"));
  v.card->body()->addWidget(make_rule());
  auto* row = new QHBoxLayout;
  row->setSpacing(units(4));
  const auto side = [&](const QString& title, QLabel** label) {
    auto* box = new QWidget;
    auto* column = new QVBoxLayout(box);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(units(1));
    column->addWidget(make_label(title, "small"));
    *label = make_paragraph({});
    (*label)->setTextFormat(Qt::PlainText);
    column->addWidget(*label);
    column->addStretch(1);
    row->addWidget(box, 1);
    return box;
  };
  side(vm_.modelName().isEmpty() ? tr("Model") : vm_.modelName(), &v.answer);
  v.base_box = side(tr("base model"), &v.base);
  v.card->body()->addLayout(row);
  auto* foot = new QHBoxLayout;
  v.footnote = make_label({}, "small");
  foot->addWidget(v.footnote, 1);
  auto* raw = make_button(tr("Raw prompt"), "disclosure");
  raw->setCheckable(true);
  foot->addWidget(raw);
  v.card->body()->addLayout(foot);
  v.prompt = make_paragraph({}, "mono");
  v.prompt->setTextFormat(Qt::PlainText);
  v.prompt->hide();
  v.card->body()->addWidget(v.prompt);
  connect(raw, &QPushButton::toggled, v.prompt, &QLabel::setVisible);
  return v;
}

void ChatPage::rebuild() {
  while (turns_.size() > vm_.turns().size()) {
    delete turns_.back().card;
    turns_.pop_back();
  }
  while (turns_.size() < vm_.turns().size()) {
    turns_.push_back(makeTurn(vm_.turns()[turns_.size()]));
    turns_box_->insertWidget(turns_box_->count() - 1, turns_.back().card);
  }
  begin_->setVisible(turns_.empty());
  turns_box_->setStretch(turns_box_->count() - 1, turns_.empty() ? 0 : 1);
  for (int i = 0; i < int(turns_.size()); ++i) update(i);
  refreshBusy();
}

void ChatPage::update(int index) {
  if (index < 0 || index >= int(turns_.size())) return;
  const ChatTurn& turn = vm_.turns()[size_t(index)];
  const TurnView& v = turns_[size_t(index)];
  v.answer->setText(turn.answer.isEmpty() && vm_.isBusy() ? QStringLiteral("…") : turn.answer);
  v.base->setText(turn.base_answer);
  v.base_box->setVisible(!turn.base_answer.isEmpty() || (vm_.compare() && index + 1 == int(turns_.size())));
  v.footnote->setText(turn.footnote);
  v.prompt->setText(turn.prompt.isEmpty() ? tr("The prompt is shown once the answer is there.") : turn.prompt);
  QScrollBar* bar = area_->verticalScrollBar();
  if (bar->maximum() - bar->value() < units(20)) QTimer::singleShot(0, bar, [bar] { bar->setValue(bar->maximum()); });
}

void ChatPage::refreshBusy() {
  const bool busy = vm_.isBusy();
  status_->setText(vm_.statusText());
  stop_->setVisible(busy);
  send_->setVisible(!busy);
  send_->setEnabled(!input_->toPlainText().trimmed().isEmpty());
  again_->setEnabled(!busy && !vm_.turns().empty());
  clear_->setEnabled(!busy);
  compare_->setEnabled(vm_.hasAdapter());
}

void ChatPage::send() {
  if (vm_.isBusy()) return;
  const QString text = input_->toPlainText();
  input_->clear();
  vm_.ask(text);
}

bool ChatPage::eventFilter(QObject* watched, QEvent* event) {
  if (watched == input_ && event->type() == QEvent::KeyPress) {
    const auto* key = static_cast<QKeyEvent*>(event);
    if ((key->key() == Qt::Key_Return || key->key() == Qt::Key_Enter) && !(key->modifiers() & Qt::ShiftModifier)) {
      send();
      return true;
    }
  }
  return Page::eventFilter(watched, event);
}

}  // namespace lorikeet::ui
