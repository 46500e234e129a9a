#include "ui/pages/home_page.h"

#include <QGridLayout>
#include <QMenu>
#include <QPushButton>
#include <QScrollArea>
#include <QToolButton>
#include <cmath>

#include "ui/widgets/banner.h"
#include "ui/widgets/card.h"
#include "ui/widgets/labels.h"
#include "ui/widgets/sparkline.h"
#include "ui/widgets/theme.h"

namespace lorikeet::ui {
namespace {
constexpr size_t kMostCards = 24;
}

HomePage::HomePage(Studio& studio, QWidget* parent) : Page(tr("Home"), QStringLiteral("home"), parent), studio_(studio) {
  auto* content = new QWidget;
  content->setObjectName(QStringLiteral("scrolled"));
  auto* column = new QVBoxLayout(content);
  column->setContentsMargins(0, 0, units(1), 0);
  column->setSpacing(units(4));
  auto* top = new QHBoxLayout;
  top->setSpacing(units(4));
  top->addWidget(makeStart(), 3);
  device_ = new Card(tr("This machine"));
  device_lines_ = new QGridLayout;
  device_lines_->setHorizontalSpacing(units(3));
  device_lines_->setVerticalSpacing(units(1));
  device_lines_->setColumnStretch(1, 1);
  device_->body()->addLayout(device_lines_);
  device_->body()->addStretch(1);
  top->addWidget(device_, 1);
  column->addLayout(top);
  runs_title_ = make_label(tr("Runs"), "strong");
  column->addWidget(runs_title_);
  no_runs_ = make_label(tr("No runs yet. The sample project takes a few minutes and shows every page with real content."), "muted");
  no_runs_->setWordWrap(true);
  column->addWidget(no_runs_);
  cards_ = new QGridLayout;
  cards_->setSpacing(units(3));
  column->addLayout(cards_);
  column->addStretch(1);
  auto* area = new QScrollArea;
  area->setObjectName(QStringLiteral("form"));
  area->setWidgetResizable(true);
  area->setFocusPolicy(Qt::NoFocus);
  area->setWidget(content);
  this->column()->addWidget(area, 1);
  connect(&studio_.home, &HomeViewModel::runsChanged, this, &HomePage::refreshRuns);
  connect(&studio_.home, &HomeViewModel::deviceChanged, this, &HomePage::refreshDevice);
  connect(&studio_.home, &HomeViewModel::problem, this, [this](const QString& what, const ErrorText& e) { banner()->showError(what, e); });
  connect(&studio_.session, &Session::stateChanged, this, &HomePage::refreshRuns);
  refreshRuns();
  refreshDevice();
}

QWidget* HomePage::makeStart() {
  auto* box = new QWidget;
  auto* row = new QHBoxLayout(box);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(units(3));
  auto* sample = new ChoiceCard(QStringLiteral("sample"), tr("Try the sample"), tr("A small model learns to turn sentences about appointments into JSON. Everything is here; press Start."));
  auto* fresh = new ChoiceCard(QStringLiteral("plus"), tr("New run"), tr("Choose a model and your own data. The settings begin at sound values; memory and time are shown before you start."));
  auto* config = new ChoiceCard(QStringLiteral("file"), tr("Open a config"), tr("Settings saved before, or written by hand. The same file works with the lorikeet command."));
  for (ChoiceCard* card : {sample, fresh, config}) {
    card->setMinimumHeight(units(36));
    row->addWidget(card, 1);
  }
  connect(sample, &ChoiceCard::clicked, &studio_, &Studio::openSample);
  connect(fresh, &ChoiceCard::clicked, &studio_, &Studio::newRun);
  connect(config, &ChoiceCard::clicked, this, &HomePage::openConfigAsked);
  return box;
}

void HomePage::refreshDevice() {
  while (QLayoutItem* item = device_lines_->takeAt(0)) {
    delete item->widget();
    delete item;
  }
  int row = 0;
  for (const DeviceLine& line : studio_.home.deviceLines()) {
    if (line.name.isEmpty()) {
      device_lines_->addWidget(make_paragraph(line.text, "small"), row++, 0, 1, 2);
      continue;
    }
    device_lines_->addWidget(make_label(line.name, "muted"), row, 0, Qt::AlignTop);
    QLabel* text = make_paragraph(line.text);
    text->setAlignment(Qt::AlignRight | Qt::AlignTop);
    device_lines_->addWidget(text, row++, 1);
  }
  if (row == 0) device_lines_->addWidget(make_label(tr("Looking…"), "muted"), 0, 0);
}

void HomePage::refreshRuns() {
  qDeleteAll(run_cards_);
  run_cards_.clear();
  const auto& runs = studio_.home.runs().rows();
  for (size_t i = 0; i < runs.size() && i < kMostCards; ++i) run_cards_ << makeRunCard(runs[i]);
  no_runs_->setVisible(runs.empty() && studio_.home.isLoaded());
  runs_title_->setText(runs.empty() ? tr("Runs") : tr("Runs (%1)").arg(runs.size()));
  columns_ = 0;
  placeCards();
}

void HomePage::placeCards() {
  const int columns = std::max(1, width() / units(82));
  if (columns == columns_) return;
  columns_ = columns;
  for (int i = 0; i < run_cards_.size(); ++i) cards_->addWidget(run_cards_[i], i / columns, i % columns);
  for (int c = 0; c < 12; ++c) cards_->setColumnStretch(c, c < columns ? 1 : 0);
}

void HomePage::resizeEvent(QResizeEvent* event) {
  Page::resizeEvent(event);
  placeCards();
}

QWidget* HomePage::makeRunCard(const RunRow& run) {
  auto* card = new Card(QString());
  auto* name = new ElidedLabel;
  name->setProperty("role", "strong");
  name->setFullText(run_title(run.name, run.data));
  name->setToolTip(run.path);
  card->head()->insertWidget(0, name, 100);
  const QString state = run_state_text(run);
  const bool cut = was_cut_off(run);
  card->head()->addWidget(make_badge(state, run.state == "failed" ? "error" : cut ? "warning" : run.running || run.state == "finished" ? "" : "plain"));
  auto* middle = new QHBoxLayout;
  auto* words = new QVBoxLayout;
  words->setSpacing(units(0.5));
  words->addWidget(make_label(std::isfinite(run.final_loss) ? tr("loss %1").arg(run.final_loss, 0, 'f', 3) : tr("no loss yet")));
  QString progress = tr("step %1 of %2").arg(run.step).arg(run.total_steps);
  if (std::isfinite(run.started)) progress += QStringLiteral(" · ") + short_time(run.started);
  words->addWidget(make_label(progress, "small"));
  auto* model = new ElidedLabel;
  model->setProperty("role", "small");
  model->setFullText(run.model);
  words->addWidget(model);
  middle->addLayout(words, 1);
  auto* spark = new Sparkline;
  spark->setFixedSize(units(26), units(9));
  spark->setValues(run.spark);
  middle->addWidget(spark);
  card->body()->addLayout(middle);
  auto* buttons = new QHBoxLayout;
  buttons->setSpacing(units(2));
  const auto add = [&](const QString& text, const char* role, auto&& act) {
    auto* button = make_button(text, role);
    button->setAccessibleName(tr("%1: %2").arg(text, run_label(run)));
    connect(button, &QPushButton::clicked, this, act);
    buttons->addWidget(button);
    return button;
  };
  const QString path = run.path;
  if (run.can_continue && !run.running) {
    auto* go = add(tr("Continue"), "primary", [this, path] { studio_.continueRun(path); });
    go->setEnabled(studio_.session.canStart());
    if (!go->isEnabled()) go->setToolTip(tr("Another run is active."));
  }
  add(tr("Show"), "", [this, path] { studio_.openPath(path); });
  if (run.state == "finished" || run.step > 0) {
    add(tr("Chat"), "flat", [this, path] { studio_.chatWithRun(path); });
    add(tr("Export"), "flat", [this, path] { studio_.exportRun(path); });
  }
  buttons->addStretch(1);
  card->body()->addLayout(buttons);
  return card;
}

}  // namespace lorikeet::ui
