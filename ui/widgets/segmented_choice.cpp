#include "ui/widgets/segmented_choice.h"

#include <QAbstractButton>
#include <QHBoxLayout>
#include <QMenu>

#include "ui/widgets/labels.h"
#include "ui/widgets/theme.h"

namespace lorikeet::ui {

SegmentedChoice::SegmentedChoice(const QString& name, QStringList values, QStringList texts, int shown, QWidget* parent)
    : QFrame(parent), values_(std::move(values)), texts_(std::move(texts)) {
  setObjectName(QStringLiteral("segmented"));
  setAccessibleName(name);
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(1, 1, 1, 1);
  row->setSpacing(0);
  group_.setExclusive(true);
  const int segments = shown > 0 && shown < values_.size() ? shown : int(values_.size());
  const bool menu = segments < values_.size();
  for (int i = 0; i < segments; ++i) addSegment(name, i, texts_.value(i, values_[i]), !menu && i + 1 == segments);
  if (menu) addMenu(name, segments);
  connect(&group_, &QButtonGroup::idClicked, this, [this](int id) {
    if (group_.button(id) != more_) emit chosen(more_value_ = values_[id]);
  });
}

QAbstractButton* SegmentedChoice::addSegment(const QString& name, int id, const QString& text, bool last) {
  QPushButton* button = make_button(text, "segment");
  button->setCheckable(true);
  button->setProperty("last", last);
  button->setAccessibleName(QStringLiteral("%1: %2").arg(name, text));
  button->setMinimumWidth(button->fontMetrics().horizontalAdvance(text) * 11 / 10 + units(2));
  group_.addButton(button, id);
  static_cast<QHBoxLayout*>(layout())->addWidget(button, int(text.size()) + 3);
  return button;
}

void SegmentedChoice::addMenu(const QString& name, int shown) {
  more_ = addSegment(name, int(values_.size()), tr("more"), true);
  auto* menu = new QMenu(this);
  for (int i = shown; i < values_.size(); ++i)
    menu->addAction(texts_.value(i, values_[i]), this, [this, i] { emit chosen(more_value_ = values_[i]); });
  connect(menu, &QMenu::aboutToHide, this, [this] { setValue(more_value_); });  // nothing chosen: back to what was
  connect(more_, &QAbstractButton::pressed, this, [this, menu] { menu->popup(more_->mapToGlobal(QPoint(0, more_->height()))); });
}

QString SegmentedChoice::value() const { return more_value_; }

void SegmentedChoice::setValue(const QString& value) {
  more_value_ = value;
  int id = int(values_.indexOf(value));
  if (more_) {
    const bool in_menu = id >= 0 && !group_.button(id);
    more_->setText(in_menu ? texts_.value(id, value) : tr("more"));
    if (in_menu) id = int(values_.size());
  }
  if (id >= 0) {
    group_.button(id)->setChecked(true);
  } else if (auto* checked = group_.checkedButton()) {
    group_.setExclusive(false);
    checked->setChecked(false);
    group_.setExclusive(true);
  }
}

}  // namespace lorikeet::ui
