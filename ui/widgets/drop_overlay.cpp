#include "ui/widgets/drop_overlay.h"

#include <QPainter>

#include "ui/widgets/theme.h"

namespace lorikeet::ui {

DropOverlay::DropOverlay(QWidget* window) : QWidget(window) {
  setAttribute(Qt::WA_TransparentForMouseEvents);
  hide();
}

void DropOverlay::showFor(const QString& sentence) {
  sentence_ = sentence;
  setAccessibleName(sentence);
  setGeometry(parentWidget()->rect());
  raise();
  show();
  update();
}

void DropOverlay::paintEvent(QPaintEvent*) {
  QPainter p(this);
  p.setRenderHint(QPainter::Antialiasing);
  QColor veil = colors().window;
  veil.setAlphaF(0.88F);
  p.fillRect(rect(), veil);
  const int edge = units(6);
  p.setPen(QPen(colors().accent, units(0.6), Qt::DashLine));
  p.drawRoundedRect(rect().adjusted(edge, edge, -edge, -edge), units(3), units(3));
  p.setPen(colors().text);
  p.setFont(Theme::instance().title());
  p.drawText(rect().adjusted(2 * edge, 0, -2 * edge, 0), Qt::AlignCenter | Qt::TextWordWrap, sentence_);
}

}  // namespace lorikeet::ui
