#include "ui/widgets/token_view.h"

#include <QHelpEvent>
#include <QKeyEvent>
#include <QPainter>
#include <QScrollBar>
#include <QToolTip>
#include <algorithm>

#include "ui/widgets/theme.h"

namespace lorikeet::ui {
namespace {

/// Line ends and leading blanks would be invisible.
QString visible_text(const QString& text) {
  QString out = text;
  out.replace('\t', QChar(0x2192)).replace('\r', QString()).replace('\n', QChar(0x21B5));
  if (out.trimmed().isEmpty()) out.replace(' ', QChar(0x00B7));
  return out;
}

void draw_token(QPainter& p, const QRectF& box, const QString& text, const ShownToken& token) {
  const ThemeColors& c = colors();
  const double round = units(0.6);
  p.setPen(Qt::NoPen);
  if (token.trained) {
    p.setBrush(c.accent_soft);
    p.drawRoundedRect(box, round, round);
    p.fillRect(QRectF(box.left(), box.bottom() - units(0.5), box.width(), units(0.5)), c.accent);
  }
  if (token.special) {
    p.setBrush(Qt::NoBrush);
    p.setPen(QPen(token.trained ? c.accent : c.line_strong, 1));
    p.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), round, round);
  }
  p.setPen(token.trained ? c.on_accent_soft : token.special || token.cut ? c.muted : c.text);
  p.drawText(box, Qt::AlignCenter, text);
  if (token.cut) p.fillRect(QRectF(box.left(), box.center().y(), box.width(), std::max(1, units(0.3))), c.error);
}

}  // namespace

TokenView::TokenView(QWidget* parent) : QAbstractScrollArea(parent) {
  setFrameShape(QFrame::NoFrame);
  setFocusPolicy(Qt::StrongFocus);
  setAccessibleName(tr("Tokens of the chosen sample"));
  viewport()->setAutoFillBackground(false);
  viewport()->setMouseTracking(true);
}

void TokenView::setTokens(std::vector<ShownToken> tokens) {
  tokens_ = std::move(tokens);
  current_ = 0;
  verticalScrollBar()->setValue(0);
  layoutTokens();
  describe();
}

void TokenView::layoutTokens() {
  const QFont font = Theme::instance().mono();
  const QFontMetricsF m(font);
  const double line = m.height() + units(1.6), right = viewport()->width() - units(1);
  double x = units(1), y = units(1);
  pieces_.clear();
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const QString text = visible_text(tokens_[i].text);
    const double pad = tokens_[i].special ? units(1) : units(0.3);
    const double w = std::min(m.horizontalAdvance(text.isEmpty() ? QStringLiteral(" ") : text) + 2 * pad, right - units(1));
    if (x + w > right && x > units(1)) x = units(1), y += line;
    pieces_.push_back({QRectF(x, y, w, m.height() + units(0.6)), i, text});
    x += w + units(0.4);
    if (tokens_[i].text.contains('\n')) x = units(1), y += line;
  }
  verticalScrollBar()->setRange(0, std::max(0, int(y + line) - viewport()->height()));
  verticalScrollBar()->setPageStep(viewport()->height());
  verticalScrollBar()->setSingleStep(int(line));
  viewport()->update();
}

void TokenView::paintEvent(QPaintEvent*) {
  QPainter p(viewport());
  p.setRenderHint(QPainter::Antialiasing);
  p.setFont(Theme::instance().mono());
  const double top = verticalScrollBar()->value();
  for (const Piece& piece : pieces_) {
    const QRectF box = piece.box.translated(0, -top);
    if (box.bottom() < 0) continue;
    if (box.top() > viewport()->height()) break;
    draw_token(p, box, piece.text, tokens_[piece.token]);
    if (hasFocus() && piece.token == current_) {
      p.setBrush(Qt::NoBrush);
      p.setPen(QPen(colors().text, std::max(1, units(0.4))));
      p.drawRoundedRect(box, units(0.6), units(0.6));
    }
  }
}

void TokenView::resizeEvent(QResizeEvent* event) {
  QAbstractScrollArea::resizeEvent(event);
  layoutTokens();
}

QString TokenView::tipOf(const ShownToken& t) const {
  QStringList words;
  words << tr("token %1").arg(t.id);
  if (t.special) words << tr("special");
  words << (t.trained ? tr("trained on") : tr("masked: read, not trained on"));
  if (t.cut) words << tr("cut off");
  return words.join(QStringLiteral(" · "));
}

void TokenView::keyPressEvent(QKeyEvent* event) {
  if (tokens_.empty()) return QAbstractScrollArea::keyPressEvent(event);
  if (event->key() == Qt::Key_Right && current_ + 1 < tokens_.size()) ++current_;
  else if (event->key() == Qt::Key_Left && current_ > 0) --current_;
  else return QAbstractScrollArea::keyPressEvent(event);
  const QRectF box = pieces_[current_].box;
  auto* bar = verticalScrollBar();
  if (box.top() < bar->value()) bar->setValue(int(box.top()));
  if (box.bottom() > bar->value() + viewport()->height()) bar->setValue(int(box.bottom()) - viewport()->height());
  describe();
  viewport()->update();
}

void TokenView::describe() {
  if (tokens_.empty()) return setAccessibleDescription({});
  const ShownToken& t = tokens_[current_];
  setAccessibleDescription(tr("Token %1 of %2: “%3”, %4").arg(current_ + 1).arg(tokens_.size()).arg(t.text, tipOf(t)));
}

bool TokenView::viewportEvent(QEvent* event) {
  if (event->type() == QEvent::ToolTip) {
    const auto* help = static_cast<QHelpEvent*>(event);
    const QPointF at = QPointF(help->pos()) + QPointF(0, verticalScrollBar()->value());
    for (const Piece& piece : pieces_)
      if (piece.box.contains(at)) {
        QToolTip::showText(help->globalPos(), tipOf(tokens_[piece.token]), this);
        return true;
      }
    QToolTip::hideText();
    return true;
  }
  return QAbstractScrollArea::viewportEvent(event);
}

namespace {
struct LegendEntry { ShownToken token; QString text; };
std::vector<LegendEntry> legend() {
  std::vector<LegendEntry> out(4);
  out[0].token.trained = true, out[0].text = TokenLegend::tr("trained");
  out[1].text = TokenLegend::tr("masked");
  out[2].token.special = true, out[2].text = TokenLegend::tr("special");
  out[3].token.cut = true, out[3].text = TokenLegend::tr("cut off");
  return out;
}
}  // namespace

TokenLegend::TokenLegend(QWidget* parent) : QWidget(parent) { setSizePolicy(QSizePolicy::Fixed, QSizePolicy::Fixed); }

QSize TokenLegend::sizeHint() const {
  const QFontMetricsF m(Theme::instance().small());
  double w = 0;
  for (const LegendEntry& e : legend()) w += m.horizontalAdvance(e.text) + units(4.5);
  return {int(w), int(m.height()) + units(1.5)};
}

void TokenLegend::paintEvent(QPaintEvent*) {
  QPainter p(this);
  p.setRenderHint(QPainter::Antialiasing);
  p.setFont(Theme::instance().small());
  const QFontMetricsF m(p.font());
  double x = 0;
  for (const LegendEntry& e : legend()) {
    const double w = m.horizontalAdvance(e.text) + units(2.5);
    draw_token(p, QRectF(x, units(0.3), w, height() - units(0.6)), e.text, e.token);
    x += w + units(2);
  }
}

}  // namespace lorikeet::ui
