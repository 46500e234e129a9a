#include "ui/widgets/card.h"

#include <QHBoxLayout>
#include <QKeyEvent>
#include <QMouseEvent>

#include "ui/widgets/icons.h"
#include "ui/widgets/labels.h"
#include "ui/widgets/theme.h"

namespace lorikeet::ui {

Card::Card(const QString& title, QWidget* parent) : QFrame(parent) {
  setObjectName(QStringLiteral("card"));
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(units(4), units(3), units(4), units(4));
  column->setSpacing(units(2));
  head_ = new QHBoxLayout;
  head_->setSpacing(units(2));
  title_ = make_label(title, "strong");
  title_->setVisible(!title.isEmpty());
  head_->addWidget(title_);
  head_->addStretch(1);
  column->addLayout(head_);
  body_ = new QVBoxLayout;
  body_->setSpacing(units(2));
  column->addLayout(body_);
  if (!title.isEmpty()) setAccessibleName(title);
}

void Card::setTitle(const QString& title) {
  title_->setText(title);
  title_->setVisible(!title.isEmpty());
}

ChoiceCard::ChoiceCard(const QString& icon_name, const QString& title, const QString& text, QWidget* parent) : Card({}, parent) {
  set_style_property(this, "hover", true);
  setFocusPolicy(Qt::StrongFocus);
  setCursor(Qt::PointingHandCursor);
  setAccessibleName(title);
  setAccessibleDescription(text);
  body()->addWidget(new IconLabel(icon_name, QStringLiteral("accent"), 7));
  body()->addWidget(make_label(title, "strong"));
  QLabel* words = make_label(text, "small");
  words->setWordWrap(true);
  words->setAlignment(Qt::AlignTop | Qt::AlignLeft);
  body()->addWidget(words, 1);
}

void ChoiceCard::mouseReleaseEvent(QMouseEvent* event) {
  if (event->button() == Qt::LeftButton && rect().contains(event->pos())) emit clicked();
}

void ChoiceCard::keyPressEvent(QKeyEvent* event) {
  if (event->key() == Qt::Key_Return || event->key() == Qt::Key_Enter || event->key() == Qt::Key_Space) emit clicked();
  else Card::keyPressEvent(event);
}

IconLabel::IconLabel(const QString& name, const QString& tone, double size_units, QWidget* parent)
    : QLabel(parent), name_(name), tone_(tone), size_units_(size_units) {
  setSizePolicy(QSizePolicy::Fixed, QSizePolicy::Fixed);
  connect(&Theme::instance(), &Theme::changed, this, &IconLabel::draw);
  draw();
}

void IconLabel::setIcon(const QString& name, const QString& tone) {
  name_ = name;
  tone_ = tone;
  draw();
}

void IconLabel::draw() {
  const ThemeColors& c = colors();
  const QColor color = tone_ == "accent" ? c.accent : tone_ == "warning" ? c.warning : tone_ == "error" ? c.error
                     : tone_ == "note" ? c.note : tone_ == "muted" ? c.muted : c.text;
  setPixmap(icon_pixmap(name_, color, units(size_units_), devicePixelRatioF()));
}

EmptyState::EmptyState(const QString& icon_name, const QString& title, const QString& text, const QString& button_text, QWidget* parent)
    : QWidget(parent) {
  auto* column = new QVBoxLayout(this);
  column->setSpacing(units(3));
  column->addStretch(2);
  column->addWidget(new IconLabel(icon_name, QStringLiteral("muted"), 12), 0, Qt::AlignHCenter);
  column->addWidget(make_label(title, "title"), 0, Qt::AlignHCenter);
  text_ = make_label(text, "muted");
  text_->setWordWrap(true);
  text_->setAlignment(Qt::AlignHCenter | Qt::AlignTop);
  text_->setFixedWidth(units(110));
  auto* middle = new QHBoxLayout;  // a row, not an alignment: only so the text gets the height its lines need
  middle->addStretch(1);
  middle->addWidget(text_);
  middle->addStretch(1);
  column->addLayout(middle);
  button_ = make_button(button_text, "primary");
  button_->setVisible(!button_text.isEmpty());
  column->addWidget(button_, 0, Qt::AlignHCenter);
  column->addStretch(3);
}

}  // namespace lorikeet::ui
