#include "ui/pages/section_card.h"

#include <QHBoxLayout>
#include <QPushButton>
#include <algorithm>

#include "ui/widgets/icons.h"
#include "ui/widgets/labels.h"
#include "ui/widgets/theme.h"

namespace lorikeet::ui {
namespace {
constexpr int kRoomForWords = 140;  // units
}

SectionCard::SectionCard(SetupViewModel& vm, const FormSection& section, const std::vector<std::string>& skip, QWidget* parent)
    : Card(section.title, parent), vm_(vm), words_(section.advancedWords()) {
  const auto skipped = [&](const Field* f) { return std::find(skip.begin(), skip.end(), f->key) != skip.end(); };
  auto* main_rows = new QVBoxLayout;
  main_rows->setSpacing(units(2.5));
  body()->addLayout(main_rows);
  for (const Field* f : section.main)
    if (!skipped(f)) addRow(*f, main_rows);
  if (std::any_of(section.advanced.begin(), section.advanced.end(), [&](const Field* f) { return !skipped(f); })) {
    more_ = make_button({}, "disclosure");
    more_->setCheckable(true);
    more_->setLayoutDirection(Qt::RightToLeft);
    more_->setText(tr("Advanced: %1").arg(words_));
    more_->setMinimumWidth(units(18));
    more_->setAccessibleName(tr("Advanced settings of %1").arg(section.title));
    head()->addWidget(more_);
    advanced_ = new QWidget;
    auto* column = new QVBoxLayout(advanced_);
    column->setContentsMargins(0, units(1), 0, 0);
    column->setSpacing(units(2.5));
    column->addWidget(make_rule());
    for (const Field* f : section.advanced)
      if (!skipped(f)) addRow(*f, column);
    body()->addWidget(advanced_);
    connect(more_, &QPushButton::clicked, this, [this](bool on) { setOpen(wanted_open_ = on); });
    setOpen(false);
  }
  connect(&vm_, &SetupViewModel::fieldChanged, this, [this](const QString& key) {
    for (FieldRow* row : rows_)
      if (key == QLatin1String(row->field().key.data(), qsizetype(row->field().key.size()))) refresh(row);
    refreshTexts();
  });
  const auto all = [this] {
    for (FieldRow* row : rows_) refresh(row);
    refreshTexts();
  };
  connect(&vm_, &SetupViewModel::configReplaced, this, all);
  connect(&vm_, &SetupViewModel::presetsChanged, this, all);
  connect(&vm_, &SetupViewModel::planChanged, this, &SectionCard::refreshTexts);
  connect(&vm_, &SetupViewModel::refused, this, [this](const QString& key, const QString& why) {
    for (FieldRow* row : rows_)
      if (key == QLatin1String(row->field().key.data(), qsizetype(row->field().key.size()))) row->setWrong(why);
  });
  all();
}

FieldRow* SectionCard::addRow(const Field& field, QVBoxLayout* into) {
  auto* row = new FieldRow(field);
  into->addWidget(row);
  rows_.push_back(row);
  const std::string key(field.key);
  connect(row, &FieldRow::edited, this, [this, key](const Json& value, bool typing) { vm_.edit(key, value, typing); });
  connect(row, &FieldRow::returnAsked, this, [this, key] { vm_.returnToPreset(key); });
  return row;
}

void SectionCard::refresh(FieldRow* row) {
  const std::string key(row->field().key);
  row->setValue(vm_.value(key));
  row->setChanged(vm_.isChanged(key), vm_.presetValue(key));
}

void SectionCard::refreshTexts() {
  for (FieldRow* row : rows_) {
    row->setSuffix(vm_.suffix(row->field().key));
    row->setNote(vm_.note(row->field().key));
    if (row->field().key == "optimizer.learning_rate") row->setDrawing(vm_.scheduleShape(60));
  }
}

void SectionCard::resizeEvent(QResizeEvent* event) {
  Card::resizeEvent(event);
  if (more_) more_->setText(width() < units(kRoomForWords) ? tr("Advanced") : tr("Advanced: %1").arg(words_));
}

void SectionCard::setOpen(bool open) {
  if (!advanced_) return;
  advanced_->setVisible(open);
  more_->setChecked(open);
  more_->setIcon(icon(open ? QStringLiteral("down") : QStringLiteral("right"), colors().muted));
  more_->setIconSize({units(2.5), units(2.5)});
}

bool SectionCard::filter(const QString& words) {
  bool any = false, hidden_match = false;
  for (FieldRow* row : rows_) {
    const bool match = words.isEmpty() || row->matches(words);
    row->setVisible(match);
    any = any || match;
    hidden_match = hidden_match || (match && row->parentWidget() == advanced_);
  }
  setOpen(words.isEmpty() ? wanted_open_ : hidden_match);
  return any;
}

void SectionCard::reveal(FieldRow* row) {
  if (row->parentWidget() == advanced_ && !advanced_->isVisibleTo(this)) setOpen(wanted_open_ = true);
}

}  // namespace lorikeet::ui
