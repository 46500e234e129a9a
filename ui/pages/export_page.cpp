#include "ui/pages/export_page.h"

#include <QComboBox>
#include <QDesktopServices>
#include <QDir>
#include <QFileDialog>
#include <QGridLayout>
#include <QHeaderView>
#include <QLineEdit>
#include <QProgressBar>
#include <QPushButton>
#include <QScrollArea>
#include <QStackedWidget>
#include <QTableView>
#include <QUrl>
#include <cmath>

#include "ui/widgets/banner.h"
#include "ui/widgets/card.h"
#include "ui/widgets/labels.h"
#include "ui/widgets/theme.h"
#include "ui/widgets/wheel_guard.h"

namespace lorikeet::ui {

ExportPage::ExportPage(Studio& studio, QWidget* parent)
    : Page(tr("Export"), QStringLiteral("export"), parent), studio_(studio), vm_(studio.exporting) {
  auto* content = new QWidget;
  content->setObjectName(QStringLiteral("scrolled"));
  auto* rows = new QVBoxLayout(content);
  rows->setContentsMargins(0, 0, units(1), 0);
  rows->setSpacing(units(3));
  rows->addWidget(makeSource());
  rows->addWidget(makeTarget());
  proof_ = makeProof();
  rows->addWidget(proof_);
  rows->addStretch(1);
  auto* area = new QScrollArea;
  area->setObjectName(QStringLiteral("form"));
  area->setWidgetResizable(true);
  area->setFocusPolicy(Qt::NoFocus);
  area->setWidget(content);
  empty_ = new EmptyState(QStringLiteral("export"), tr("Nothing to export yet"),
                          tr("A run's adapter is written here as a folder that PEFT and transformers load, read back and compared before it is called done. It needs a run with at least one checkpoint."),
                          tr("Set up a run"));
  connect(empty_->button(), &QPushButton::clicked, this, [this] { emit studio_.pageAsked(QStringLiteral("setup")); });
  stack_ = new QStackedWidget;
  stack_->addWidget(empty_);
  stack_->addWidget(area);
  column()->addWidget(stack_, 1);
  connect(&vm_, &ExportViewModel::changed, this, &ExportPage::refresh);
  connect(&vm_, &ExportViewModel::problem, this, [this](const QString& what, const ErrorText& e) { banner()->showError(what, e); });
  connect(&studio_.home, &HomeViewModel::runsChanged, this, &ExportPage::refreshRuns);
  refreshRuns();
  refresh();
}

Card* ExportPage::makeSource() {
  auto* card = new Card(tr("1  Which run"));
  run_ = new QComboBox;
  run_->setAccessibleName(tr("Run to export"));
  WheelGuard::protect(run_);
  card->body()->addWidget(run_);
  run_text_ = make_label({}, "small");
  run_text_->setWordWrap(true);
  card->body()->addWidget(run_text_);
  connect(run_, &QComboBox::activated, this, [this](int i) { vm_.setSource(run_->itemData(i).toString()); });
  return card;
}

Card* ExportPage::makeTarget() {
  auto* card = new Card(tr("2  What and where"));
  card->body()->addWidget(make_label(tr("PEFT adapter folder")));
  QLabel* help = make_label(tr("adapter_config.json and adapter_model.safetensors. Works with PEFT and transformers, and as the start of another run here. Needs the base model beside it."), "small");
  help->setWordWrap(true);
  card->body()->addWidget(help);
  auto* row = new QHBoxLayout;
  row->setSpacing(units(2));
  folder_ = new QLineEdit;
  folder_->setPlaceholderText(tr("A new or empty folder"));
  folder_->setAccessibleName(tr("Destination folder"));
  auto* browse = make_button(tr("Choose…"));
  browse->setAccessibleName(tr("Choose the destination folder"));
  row->addWidget(folder_, 1);
  row->addWidget(browse);
  card->body()->addLayout(row);
  auto* act = new QHBoxLayout;
  act->setSpacing(units(2));
  what_ = make_label({}, "small");
  progress_ = new QProgressBar;
  progress_->setTextVisible(false);
  progress_->setRange(0, 1000);
  progress_->setAccessibleName(tr("Progress of the export"));
  why_ = make_label({}, "small");
  stop_ = make_button(tr("Stop"));
  start_ = make_button(tr("E&xport"), "primary");  // Alt+X
  act->addWidget(what_);
  act->addWidget(progress_, 1);
  act->addWidget(why_, 1);
  act->addWidget(stop_);
  act->addWidget(start_);
  card->body()->addLayout(act);
  connect(folder_, &QLineEdit::textEdited, &vm_, &ExportViewModel::setDestination);
  connect(browse, &QPushButton::clicked, this, [this] {
    const QString path = QFileDialog::getExistingDirectory(this, tr("Destination folder"), folder_->text());
    if (!path.isEmpty()) vm_.setDestination(path);
  });
  connect(start_, &QPushButton::clicked, &vm_, &ExportViewModel::start);
  connect(stop_, &QPushButton::clicked, &vm_, &ExportViewModel::stop);
  return card;
}

Card* ExportPage::makeProof() {
  auto* card = new Card(tr("3  Proof"));
  verdict_ = make_paragraph({});
  card->body()->addWidget(verdict_);
  figures_ = new QGridLayout;
  figures_->setHorizontalSpacing(units(6));
  figures_->setVerticalSpacing(units(1));
  figures_->setColumnStretch(2, 1);
  card->body()->addLayout(figures_);
  files_ = new QTableView;
  files_->setModel(&vm_.filesModel());
  files_->setAccessibleName(tr("Files written"));
  files_->setShowGrid(false);
  files_->setTabKeyNavigation(false);
  files_->setSelectionBehavior(QAbstractItemView::SelectRows);
  files_->verticalHeader()->hide();
  files_->verticalHeader()->setDefaultSectionSize(units(6.5));
  files_->horizontalHeader()->setStretchLastSection(true);
  files_->setColumnWidth(0, units(70));
  files_->setColumnWidth(1, units(24));
  files_->setMinimumHeight(units(34));
  card->body()->addWidget(files_);
  auto* row = new QHBoxLayout;
  row->setSpacing(units(2));
  row->addStretch(1);
  open_ = make_button(tr("Open folder"));
  chat_ = make_button(tr("Chat with it"));
  row->addWidget(open_);
  row->addWidget(chat_);
  card->body()->addLayout(row);
  connect(open_, &QPushButton::clicked, this, [this] { QDesktopServices::openUrl(QUrl::fromLocalFile(vm_.destination())); });
  connect(chat_, &QPushButton::clicked, this, [this] { studio_.openPath(vm_.destination()); });
  return card;
}

void ExportPage::refreshRuns() {
  run_->clear();
  for (const RunRow& run : studio_.home.runs().rows()) {
    if (run.step == 0) continue;
    run_->addItem(tr("%1 · %2, step %3").arg(run_label(run), run_state_text(run)).arg(run.step), run.path);
  }
  int at = run_->findData(vm_.source());
  if (at < 0 && !vm_.source().isEmpty()) {
    run_->addItem(vm_.source(), vm_.source());
    at = run_->count() - 1;
  }
  run_->setCurrentIndex(std::max(0, at));
  refresh();
  if (vm_.source().isEmpty() && !run_->currentData().toString().isEmpty()) vm_.setSource(run_->currentData().toString());
}

void ExportPage::refresh() {
  stack_->setCurrentIndex(run_->count() > 0 || !vm_.source().isEmpty() ? 1 : 0);
  const int at = run_->findData(vm_.source());
  if (at >= 0) run_->setCurrentIndex(at);
  if (vm_.destination().isEmpty() && !vm_.source().isEmpty()) {
    vm_.setDestination(QDir::homePath() + '/' + QDir(vm_.source()).dirName() + QStringLiteral("-peft"));
    return;  // setDestination comes back here
  }
  if (folder_->text() != vm_.destination()) folder_->setText(vm_.destination());
  run_text_->setText(vm_.source());
  const bool busy = vm_.session().isActive();
  QString why;
  start_->setEnabled(vm_.isReady(&why));
  start_->setToolTip(why);
  start_->setVisible(!busy);
  stop_->setVisible(busy);
  progress_->setVisible(busy);
  what_->setVisible(busy);
  why_->setVisible(!busy);
  why_->setText(vm_.isReady() ? QString() : why);
  const Progress& p = vm_.session().progress();
  what_->setText(p.what.empty() ? tr("Writing…") : QString::fromStdString(p.what));
  progress_->setValue(p.total > 0 ? int(1000 * p.done / p.total) : 0);
  while (QLayoutItem* item = figures_->takeAt(0)) {
    delete item->widget();
    delete item;
  }
  int row = 0;
  for (const ProofLine& line : vm_.proof()) {
    figures_->addWidget(make_label(line.name, "muted"), row, 0);
    figures_->addWidget(new FigureLabel(line.value, "strong"), row++, 1);
  }
  const bool done = vm_.isDone();
  verdict_->setText(!done ? tr("After writing, the files are read back and compared with the run: its logits on the same text, and the most likely tokens. The figures and the hash of each file are listed here.")
                    : vm_.proof().empty() ? tr("Written. The comparison was not made.")
                    : vm_.passed() ? tr("✓ Written, read back and compared: it behaves like the run.")
                                   : tr("✗ Written, but it differs from the run more than it should. Do not rely on it."));
  set_style_property(verdict_, "role", done ? (vm_.passed() || vm_.proof().empty() ? "strong" : "error") : "muted");
  files_->setVisible(done);
  open_->setVisible(done);
  chat_->setVisible(done);
}

}  // namespace lorikeet::ui
