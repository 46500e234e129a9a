#include "ui/widgets/number_edit.h"

#include <QKeyEvent>
#include <QWheelEvent>
#include <algorithm>
#include <cmath>

#include "core/base/text.h"

namespace lorikeet::ui {

NumberEdit::NumberEdit(bool whole, double min, double max, QWidget* parent) : QLineEdit(parent), whole_(whole), min_(min), max_(max) {
  setFocusPolicy(Qt::StrongFocus);  // not by wheel
  connect(this, &QLineEdit::textEdited, this, &NumberEdit::typed);
}

QString NumberEdit::textOf(double value) {
  std::string s = shortest(value);
  const double size = std::fabs(value);
  if (size > 0 && size < 1e-3) {  // 0.0002 is read as 2e-4
    const int power = int(std::floor(std::log10(size) + 1e-12));
    const std::string digits = shortest(std::round(value / std::pow(10.0, power) * 1e12) / 1e12);
    const std::string written = digits + "e" + std::to_string(power);
    if (const auto back = parse_double(written); back && *back == value) s = written;
  }
  return QString::fromStdString(s);
}

void NumberEdit::setNumber(double value) {
  value_ = value;
  double shown = 0;
  QString why;
  if (hasFocus() && read(text(), shown, why) && shown == value) return;  // do not rewrite what is being typed
  setText(textOf(value));
  emit wrongText({});
}

bool NumberEdit::read(const QString& text, double& value, QString& why) const {
  const std::string s(trim(text.toStdString()));
  const auto parsed = parse_double(s);
  if (!parsed || !std::isfinite(*parsed)) {
    why = s.empty() ? tr("A number is needed here.") : tr("“%1” is not a number; write it like 16, 0.05 or 2e-4.").arg(text);
    return false;
  }
  if (whole_ && *parsed != std::floor(*parsed)) {
    why = tr("A whole number is needed here.");
    return false;
  }
  if (*parsed < min_ || *parsed > max_) {
    why = tr("It must lie between %1 and %2.").arg(textOf(min_), textOf(max_));
    return false;
  }
  value = *parsed;
  return true;
}

void NumberEdit::typed(const QString& text) {
  double value = 0;
  QString why;
  if (!read(text, value, why)) {
    emit wrongText(why);
    return;
  }
  emit wrongText({});
  if (value == value_) return;
  value_ = value;
  emit numberEdited(value);
}

/// Whole numbers move by one (by two tenths of their size when large), others by a tenth of their power of ten.
void NumberEdit::step(int direction) {
  double by = 1;
  const double size = std::fabs(value_);
  if (whole_ && size >= 64) by = std::pow(2.0, std::floor(std::log2(size)) - 3);
  if (!whole_) by = size > 0 ? std::pow(10.0, std::floor(std::log10(size) + 1e-9)) / (size >= 1 ? 2 : 1) : std::min(0.01, max_ / 100);
  double next = value_ + direction * by;
  if (!whole_ && direction < 0 && next <= 0 && size > 0) next = value_ - by / 10;
  next = std::clamp(std::round(next * 1e12) / 1e12, min_, max_);
  if (next == value_) return;
  value_ = next;
  setText(textOf(next));
  emit wrongText({});
  emit numberEdited(next);
}

void NumberEdit::keyPressEvent(QKeyEvent* event) {
  if (event->key() == Qt::Key_Up) return step(+1);
  if (event->key() == Qt::Key_Down) return step(-1);
  if (event->matches(QKeySequence::Undo) || event->matches(QKeySequence::Redo)) return event->ignore();  // the form's undo
  QLineEdit::keyPressEvent(event);
}

void NumberEdit::wheelEvent(QWheelEvent* event) {
  if (!hasFocus()) return event->ignore();  // let the page scroll
  step(event->angleDelta().y() > 0 ? 1 : -1);
}

void NumberEdit::focusOutEvent(QFocusEvent* event) {
  QLineEdit::focusOutEvent(event);
  double shown = 0;
  QString why;
  if (!read(text(), shown, why) || shown != value_) {
    setText(textOf(value_));
    emit wrongText({});
  }
}

}  // namespace lorikeet::ui
