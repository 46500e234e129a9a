#include "ui/widgets/field_row.h"

#include <QCheckBox>
#include <QComboBox>
#include <QEvent>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QLineEdit>
#include <QPainter>
#include <QPainterPath>

#include "core/base/error.h"
#include "ui/viewmodels/form_layout.h"
#include "ui/widgets/icons.h"
#include "ui/widgets/labels.h"
#include "ui/widgets/number_edit.h"
#include "ui/widgets/segmented_choice.h"
#include "ui/widgets/sparkline.h"
#include "ui/widgets/theme.h"
#include "ui/widgets/wheel_guard.h"

namespace lorikeet::ui {
namespace {
constexpr int kRoomForHelp = 138;  // units, with label and control
}

FieldFrame::FieldFrame(QWidget* parent) : QFrame(parent) { setObjectName(QStringLiteral("fieldframe")); }

void FieldFrame::setChanged(bool changed) {
  changed_ = changed;
  update();
}

void FieldFrame::watchFocus(QWidget* control) { control->installEventFilter(this); }

bool FieldFrame::eventFilter(QObject* watched, QEvent* event) {
  if (event->type() == QEvent::FocusIn) set_style_property(this, "focused", true);
  if (event->type() == QEvent::FocusOut) set_style_property(this, "focused", false);
  return QFrame::eventFilter(watched, event);
}

void FieldFrame::paintEvent(QPaintEvent* event) {
  QFrame::paintEvent(event);
  if (!changed_) return;
  QPainter p(this);
  p.setRenderHint(QPainter::Antialiasing);
  QPainterPath outline;
  outline.addRoundedRect(QRectF(rect()), units(1.2), units(1.2));
  p.setClipPath(outline);
  p.fillRect(QRect(0, 0, units(0.8), height()), colors().accent);
}

FieldRow::FieldRow(const Field& field, QWidget* parent) : QWidget(parent), field_(field), frame_(new FieldFrame) {
  grid_ = new QGridLayout(this);
  grid_->setContentsMargins(0, 0, 0, 0);
  grid_->setHorizontalSpacing(units(3));
  grid_->setVerticalSpacing(units(1));
  grid_->setColumnStretch(2, 1);
  label_ = make_label(field_label(field));
  label_->setFixedWidth(units(31));
  label_->setWordWrap(true);
  label_->setToolTip(QString::fromUtf8(field.key.data(), qsizetype(field.key.size())));
  grid_->addWidget(label_, 0, 0);
  frame_->setFixedWidth(units(66));
  auto* inside = new QHBoxLayout(frame_);
  inside->setContentsMargins(1, 1, units(2), 1);
  inside->setSpacing(units(1));
  makeControl(inside);
  suffix_ = make_label({}, "small");
  suffix_->hide();
  inside->addWidget(suffix_);
  back_ = new QToolButton;
  back_->setIcon(icon(QStringLiteral("return"), {}));
  back_->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
  back_->setLayoutDirection(Qt::RightToLeft);
  back_->setIconSize({units(3), units(3)});
  back_->setAccessibleName(tr("Return %1 to the preset").arg(field_label(field)));
  back_->hide();
  connect(back_, &QToolButton::clicked, this, &FieldRow::returnAsked);
  inside->addWidget(back_);
  grid_->addWidget(frame_, 0, 1, Qt::AlignVCenter);
  help_ = make_label({}, "small");
  help_->setWordWrap(true);
  help_->setMinimumWidth(1);  // where there is no room beside the control it goes below
  grid_->addWidget(help_, 0, 2);
  label_->setBuddy(control_);
  showHelp();
}

void FieldRow::resizeEvent(QResizeEvent* event) {
  QWidget::resizeEvent(event);
  const bool below = width() < units(kRoomForHelp);
  if (below == help_below_) return;
  help_below_ = below;
  grid_->removeWidget(help_);
  below ? grid_->addWidget(help_, 1, 1) : grid_->addWidget(help_, 0, 2);
}

void FieldRow::makeControl(QHBoxLayout* inside) {
  const QString name = field_label(field_);
  switch (field_kind(field_)) {
    case FieldKind::flag:
      check_ = new QCheckBox(tr("On"));
      control_ = check_;
      connect(check_, &QCheckBox::clicked, this, [this](bool on) { emit edited(on, false); });
      connect(check_, &QCheckBox::toggled, check_, [this](bool on) { check_->setText(on ? tr("On") : tr("Off")); });
      check_->setText(tr("Off"));
      break;
    case FieldKind::whole: makeNumber(true); break;
    case FieldKind::real: makeNumber(false); break;
    case FieldKind::choice: makeChoice(); break;
    default: makeText();
  }
  control_->setAccessibleName(name);
  control_->setAccessibleDescription(field_help(field_));
  frame_->watchFocus(control_);
  inside->addWidget(control_, 1);
}

void FieldRow::makeNumber(bool whole) {
  number_ = new NumberEdit(whole, field_.min, field_.max);
  control_ = number_;
  connect(number_, &NumberEdit::numberEdited, this, [this, whole](double v) { emit edited(whole ? Json(int64_t(v)) : Json(v), true); });
  connect(number_, &NumberEdit::wrongText, this, &FieldRow::setWrong);
}

void FieldRow::makeChoice() {
  int shown = 0;
  const QStringList values = ordered_choices(field_, shown);
  QStringList texts;
  int width = 0;
  for (const QString& v : values) {
    texts << choice_text(field_, v);
    width += fontMetrics().horizontalAdvance(texts.back()) * 11 / 10 + units(5);
  }
  if (width < units(66) || shown > 0) {
    segments_ = new SegmentedChoice(field_label(field_), values, texts, shown);
    control_ = segments_;
    segments_->setProperty("inside", true);
    connect(segments_, &SegmentedChoice::chosen, this, [this](const QString& v) { emit edited(v.toStdString(), false); });
    return;
  }
  combo_ = new QComboBox;
  for (int i = 0; i < values.size(); ++i) combo_->addItem(texts[i], values[i]);
  WheelGuard::protect(combo_);
  control_ = combo_;
  connect(combo_, &QComboBox::activated, this, [this](int i) { emit edited(combo_->itemData(i).toString().toStdString(), false); });
}

void FieldRow::makeText() {
  line_ = new QLineEdit;
  control_ = line_;
  connect(line_, &QLineEdit::textEdited, this, [this](const QString& text) {
    try {
      emit edited(value_of_text(field_, text), true);
    } catch (const Error& e) {
      setWrong(QString::fromUtf8(e.what()));
    }
  });
}

void FieldRow::setValue(const Json& value) {
  if (check_) check_->setChecked(value.get<bool>());
  if (number_) number_->setNumber(value.get<double>());
  if (segments_) segments_->setValue(QString::fromStdString(value.get<std::string>()));
  if (combo_) {
    const QString text = QString::fromStdString(value.get<std::string>());
    if (combo_->findData(text) < 0) combo_->addItem(text, text);
    combo_->setCurrentIndex(combo_->findData(text));
  }
  if (line_) {
    const QString text = text_of_value(field_, value);
    bool same = false;  // "a, b," while typing is the same list as "a, b": leave the text alone
    try { same = line_->hasFocus() && value_of_text(field_, line_->text()) == value; } catch (const Error&) {}
    if (!same && line_->text() != text) line_->setText(text);
  }
  setWrong({});
}

void FieldRow::setChanged(bool changed, const Json& preset) {
  frame_->setChanged(changed);
  QString text = text_of_value(field_, preset);
  if (field_kind(field_) == FieldKind::real && preset.is_number()) text = NumberEdit::textOf(preset.get<double>());
  if (field_kind(field_) == FieldKind::choice) text = choice_text(field_, text);
  if (field_kind(field_) == FieldKind::flag) text = preset.get<bool>() ? tr("on") : tr("off");
  back_->setToolTip(tr("Return to the preset: %1").arg(text.isEmpty() ? tr("nothing") : text));
  const bool roomy = text.size() <= 6 && !segments_ && !combo_;
  back_->setText(roomy ? tr("preset %1").arg(text) : QString());
  back_->setToolButtonStyle(roomy ? Qt::ToolButtonTextBesideIcon : Qt::ToolButtonIconOnly);
  back_->setVisible(changed);
}

void FieldRow::setSuffix(const QString& text) {
  suffix_->setText(text);
  suffix_->setVisible(!text.isEmpty());
}

void FieldRow::setNote(const QString& text) {
  note_ = text;
  showHelp();
}

void FieldRow::setWrong(const QString& why) {
  wrong_ = why;
  set_style_property(frame_, "wrong", !why.isEmpty());
  showHelp();
}

void FieldRow::showHelp() {
  set_style_property(help_, "role", wrong_.isEmpty() ? "small" : "error");
  const QString help = field_help(field_);
  help_->setText(!wrong_.isEmpty() ? wrong_ : note_.isEmpty() ? help : help + ' ' + note_);
}

void FieldRow::setDrawing(std::vector<float> values) {
  if (!drawing_) {
    drawing_ = new Sparkline;
    drawing_->setFromZero(true);
    drawing_->setFixedSize(units(24), units(5));
    auto* inside = static_cast<QHBoxLayout*>(frame_->layout());
    inside->insertWidget(1, drawing_);
  }
  drawing_->setValues(std::move(values));
}

bool FieldRow::matches(const QString& words) const {
  const QString all = label_->text() + ' ' + field_help(field_) + ' ' + QString::fromUtf8(field_.key.data(), qsizetype(field_.key.size()));
  for (const QString& word : words.split(' ', Qt::SkipEmptyParts))
    if (!all.contains(word, Qt::CaseInsensitive)) return false;
  return true;
}

void FieldRow::takeFocus() {
  if (segments_) {
    for (QAbstractButton* b : segments_->findChildren<QAbstractButton*>())
      if (b->isChecked()) return b->setFocus(Qt::OtherFocusReason);
  }
  control_->setFocus(Qt::OtherFocusReason);
}

}  // namespace lorikeet::ui
