#include "ui/pages/run_panel.h"

#include <QComboBox>
#include <QGridLayout>
#include <QLocale>
#include <QPushButton>

#include "core/base/text.h"
#include "ui/models/counted.h"
#include "ui/viewmodels/form_layout.h"
#include "ui/widgets/labels.h"
#include "ui/widgets/memory_bar.h"
#include "ui/widgets/theme.h"

namespace lorikeet::ui {
namespace {
QString bytes_text(uint64_t n) { return QString::fromStdString(human_bytes(n)); }
}  // namespace

RunPanel::RunPanel(SetupViewModel& vm, QWidget* parent) : Card(tr("This run"), parent), vm_(vm) {
  memory_ = new MemoryBar;
  body()->addWidget(memory_);
  waiting_ = make_label(tr("Counting the data; figures follow."), "small");
  waiting_->setWordWrap(true);
  body()->addWidget(waiting_);
  body()->addWidget(make_rule());
  figures_ = new QGridLayout;
  figures_->setHorizontalSpacing(units(3));
  figures_->setVerticalSpacing(units(0.8));
  figures_->setColumnStretch(1, 1);
  body()->addLayout(figures_);
  addCards();
  device_ = addFigure(tr("Device"));
  steps_ = addFigure(tr("Steps"));
  time_ = addFigure(tr("Time"));
  disk_ = addFigure(tr("Disk"));
  downloads_ = addFigure(tr("Downloads"));
  changed_from_ = make_label({}, "muted");
  figures_->addWidget(changed_from_, figures_->rowCount(), 0);
  changes_ = make_button({}, "link");
  figures_->addWidget(changes_, figures_->rowCount() - 1, 1, Qt::AlignRight);
  connect(changes_, &QPushButton::clicked, this, &RunPanel::changesAsked);
  body()->addWidget(make_rule());
  findings_ = new QVBoxLayout;
  findings_->setSpacing(units(2));
  body()->addLayout(findings_);
  body()->addSpacing(units(1));
  elsewhere_ = make_paragraph(tr("A plan for another machine. Choose “This machine” to start here."));
  body()->addWidget(elsewhere_);
  start_ = make_button(tr("Start training"), "primary");
  start_->setMinimumHeight(units(9));
  body()->addWidget(start_);
  auto* row = new QHBoxLayout;
  row->setSpacing(units(2));
  auto* copy = make_button(tr("Copy command"));
  auto* save = make_button(tr("Save config"));
  row->addWidget(copy, 1);
  row->addWidget(save, 1);
  body()->addLayout(row);
  connect(start_, &QPushButton::clicked, this, &RunPanel::startAsked);
  connect(copy, &QPushButton::clicked, this, &RunPanel::copyAsked);
  connect(save, &QPushButton::clicked, this, &RunPanel::saveAsked);
  connect(&vm_, &SetupViewModel::planChanged, this, &RunPanel::refresh);
  connect(&vm_, &SetupViewModel::fieldChanged, this, &RunPanel::refresh);
  connect(&vm_, &SetupViewModel::presetsChanged, this, &RunPanel::refresh);
  refresh();
}

/// A card can be planned for before it is bought or rented.
void RunPanel::addCards() {
  card_ = new QComboBox;
  card_->setAccessibleName(tr("Plan for"));
  card_->setToolTip(tr("Memory and time as they would be on a graphics card that is not here"));
  card_->addItem(tr("This machine"));
  for (const lorikeet::Card& c : cards()) {
    const QString name = QString::fromUtf8(c.name.data(), qsizetype(c.name.size()));
    card_->addItem(name.contains(QStringLiteral("GB")) ? name : QStringLiteral("%1 · %2 GB").arg(name, QLocale().toString(c.gigabytes)));
  }
  card_->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
  const int row = figures_->rowCount();
  figures_->addWidget(make_label(tr("Plan for"), "muted"), row, 0);
  figures_->addWidget(card_, row, 1);
  connect(card_, &QComboBox::activated, this, [this](int i) { vm_.planFor(i > 0 ? &cards()[size_t(i - 1)] : nullptr); });
}

FigureLabel* RunPanel::addFigure(const QString& name) {
  const int row = figures_->rowCount();
  figures_->addWidget(make_label(name, "muted"), row, 0);
  auto* value = new FigureLabel(QStringLiteral("–"));
  value->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
  figures_->addWidget(value, row, 1);
  return value;
}

void RunPanel::setCanStart(bool can, const QString& why) {
  can_start_ = can;
  blocked_ = why;
  refresh();
}

void RunPanel::refresh() {
  const int changed = vm_.changedCount();
  changes_->setText(changed == 0 ? tr("nothing") : changed == 1 ? tr("1 setting") : tr("%1 settings").arg(changed));
  changed_from_->setText(vm_.presetName().isEmpty() ? tr("Changed since opened") : tr("Changed from preset"));
  changes_->setEnabled(changed > 0);
  changes_->setToolTip(vm_.changes().join('\n'));
  QString why;
  const bool ready = vm_.isReady(&why) && can_start_;
  start_->setEnabled(ready);
  start_->setToolTip(!can_start_ ? blocked_ : why);
  elsewhere_->setVisible(vm_.plannedCard() != nullptr);
  waiting_->setVisible(!vm_.plan() || vm_.isCounting());
  if (!vm_.plan()) return;
  const Plan& p = *vm_.plan();
  const QString policy = p.policy.empty() ? tr("Activations") : tr("Activations, policy “%1”").arg(QString::fromStdString(p.policy));
  const Field* format = find_field("quantization.format");
  const QString bits = format ? choice_text(*format, QString::fromStdString(vm_.config().quantization.format)) : QString();
  memory_->setVisible(p.bytes.total > 0);
  const QString weights = p.expanded ? tr("Weights, %1 and as bf16 panels") : tr("Weights, %1");
  memory_->setParts({{weights.arg(bits), p.bytes.weights}, {tr("Adapter and gradients"), p.bytes.adapter},
                     {tr("Optimizer"), p.bytes.optimizer}, {policy, p.bytes.activations}, {tr("Scratch"), p.bytes.scratch}},
                    p.bytes.total, p.available_bytes);
  const QString unknown = QStringLiteral("–");
  device_->setText(vm_.plannedCard() ? tr("not this machine") : p.device.empty() ? unknown : QString::fromStdString(p.device));
  steps_->setText(p.steps > 0 ? counted(double(p.steps)) : unknown);
  QString time = unknown;
  if (p.seconds > 0) time = QString::fromStdString(human_seconds(p.seconds)) + (p.seconds_measured ? tr(" (measured)") : tr(" (estimated)"));
  time_->setText(time);
  disk_->setText(p.disk_bytes > 0 ? tr("%1 of %2 free").arg(bytes_text(p.disk_bytes), bytes_text(p.disk_free_bytes)) : unknown);
  downloads_->setText(p.download_bytes > 0 ? bytes_text(p.download_bytes) : tr("nothing"));
  for (FigureLabel* label : {device_, steps_, time_, disk_, downloads_}) label->updateGeometry();
  showFindings(p.findings);
}

void RunPanel::showFindings(const std::vector<Finding>& findings) {
  while (QLayoutItem* item = findings_->takeAt(0)) {
    if (item->widget()) item->widget()->deleteLater();
    delete item;
  }
  for (const Finding& f : findings) addFinding(f);
}

void RunPanel::addFinding(const Finding& f) {
  auto* line = new QWidget;
  auto* row = new QHBoxLayout(line);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(units(2));
  const QString severity = QString::fromStdString(f.severity);
  const bool error = severity == "error", warning = severity == "warning";
  auto* mark = new IconLabel(error ? QStringLiteral("error") : warning ? QStringLiteral("warning") : QStringLiteral("info"),
                             error ? QStringLiteral("error") : warning ? QStringLiteral("warning") : QStringLiteral("note"), 4);
  mark->setAccessibleName(error ? tr("Error") : warning ? tr("Warning") : tr("Note"));
  row->addWidget(mark, 0, Qt::AlignTop);
  auto* words = new QVBoxLayout;
  words->setSpacing(0);
  words->addWidget(make_paragraph(QString::fromStdString(f.text)));
  auto* links = new QHBoxLayout;
  links->setSpacing(units(3));
  if (!f.fix_key.empty()) {
    auto* fix = make_button(f.fix_label.empty() ? tr("Fix it") : QString::fromStdString(f.fix_label), "link");
    connect(fix, &QPushButton::clicked, this, [this, f] { vm_.applyFix(f); });
    links->addWidget(fix);
  }
  if (const Field* field = find_field(f.key)) {
    auto* go = make_button(tr("Go to “%1”").arg(field_label(*field)), "link");
    connect(go, &QPushButton::clicked, this, [this, key = QString::fromStdString(f.key)] { emit fieldAsked(key); });
    links->addWidget(go);
  }
  links->addStretch(1);
  if (links->count() > 1) words->addLayout(links);
  else delete links;
  row->addLayout(words, 1);
  findings_->addWidget(line);
}

}  // namespace lorikeet::ui
