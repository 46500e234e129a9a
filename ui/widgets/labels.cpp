#include "ui/widgets/labels.h"

#include <QFontMetricsF>
#include <QFrame>
#include <QPainter>
#include <QStyle>
#include <QVariant>
#include <algorithm>
#include <cmath>

#include "ui/widgets/theme.h"

namespace lorikeet::ui {

QLabel* make_label(const QString& text, const char* role, QWidget* parent) {
  auto* label = new QLabel(text, parent);
  if (*role) label->setProperty("role", role);
  return label;
}

QLabel* make_paragraph(const QString& text, const char* role, QWidget* parent) {
  QLabel* label = make_label(text, role, parent);
  label->setWordWrap(true);
  label->setTextInteractionFlags(Qt::TextSelectableByMouse);
  label->setFocusPolicy(Qt::NoFocus);
  return label;
}

QPushButton* make_button(const QString& text, const char* role, QWidget* parent) {
  auto* button = new QPushButton(text, parent);
  if (*role) button->setProperty("role", role);
  button->setCursor(qstrcmp(role, "link") == 0 ? Qt::PointingHandCursor : Qt::ArrowCursor);
  return button;
}

QLabel* make_badge(const QString& text, const char* tone, QWidget* parent) {
  auto* label = new QLabel(text, parent);
  label->setObjectName(QStringLiteral("badge"));
  label->setProperty("tone", tone);
  label->setSizePolicy(QSizePolicy::Maximum, QSizePolicy::Maximum);
  return label;
}

QFrame* make_rule(QWidget* parent) {
  auto* rule = new QFrame(parent);
  rule->setObjectName(QStringLiteral("rule"));
  return rule;
}

void set_style_property(QWidget* widget, const char* name, const QVariant& value) {
  if (widget->property(name) == value) return;
  widget->setProperty(name, value);
  widget->style()->unpolish(widget);
  widget->style()->polish(widget);
  widget->update();
}

void ElidedLabel::setFullText(const QString& text) {
  full_ = text;
  setToolTip(text);
  setAccessibleName(text);
  elide();
  updateGeometry();
}

QSize ElidedLabel::sizeHint() const {
  return {fontMetrics().horizontalAdvance(full_) + units(1), QLabel::sizeHint().height()};
}

QSize ElidedLabel::minimumSizeHint() const { return {fontMetrics().averageCharWidth() * 6, QLabel::minimumSizeHint().height()}; }

void ElidedLabel::resizeEvent(QResizeEvent* event) {
  QLabel::resizeEvent(event);
  elide();
}

void ElidedLabel::elide() { setText(fontMetrics().elidedText(full_, Qt::ElideMiddle, width())); }

namespace {
double digit_width(const QFontMetricsF& m) {
  double w = 0;
  for (char c = '0'; c <= '9'; ++c) w = std::max(w, m.horizontalAdvance(QLatin1Char(c)));
  return w;
}
double advance(const QFontMetricsF& m, double digit, QChar c) { return c.isDigit() ? digit : m.horizontalAdvance(c); }
}  // namespace

FigureLabel::FigureLabel(const QString& text, const char* role, QWidget* parent) : QLabel(text, parent) {
  if (*role) setProperty("role", role);
  setSizePolicy(QSizePolicy::Minimum, QSizePolicy::Preferred);
}

QSize FigureLabel::sizeHint() const {
  ensurePolished();
  const QFontMetricsF m(font());
  const double digit = digit_width(m);
  double w = 0;
  for (const QChar c : text()) w += advance(m, digit, c);
  const QMargins around = contentsMargins();
  return {int(std::ceil(w)) + 1 + around.left() + around.right(), int(std::ceil(m.height()))};
}

void FigureLabel::paintEvent(QPaintEvent*) {
  QPainter p(this);
  p.setFont(font());
  p.setPen(palette().color(isEnabled() ? QPalette::Active : QPalette::Disabled, QPalette::WindowText));
  const QFontMetricsF m(font());
  const double digit = digit_width(m);
  const int wanted = sizeHint().width();
  double x = alignment() & Qt::AlignRight ? std::max(0, width() - wanted) : 0;
  const double y = (height() - m.height()) / 2 + m.ascent();
  for (const QChar c : text()) {
    const double room = advance(m, digit, c);
    p.drawText(QPointF(x + (room - m.horizontalAdvance(c)) / 2, y), QString(c));
    x += room;
  }
}

}  // namespace lorikeet::ui
