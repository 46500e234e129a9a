#include "ui/widgets/histogram.h"

#include <QHelpEvent>
#include <QLocale>
#include <QPainter>
#include <QToolTip>
#include <algorithm>

#include "ui/models/counted.h"
#include "ui/widgets/theme.h"

namespace lorikeet::ui {
Histogram::Histogram(QWidget* parent) : QWidget(parent) { setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Preferred); }

QSize Histogram::sizeHint() const { return {units(70), units(28)}; }
QSize Histogram::minimumSizeHint() const { return {units(40), units(20)}; }

void Histogram::setBars(std::vector<HistogramBar> bars, double cut) {
  bars_ = std::move(bars);
  cut_ = cut;
  setAccessibleName(tr("Lengths of the samples in tokens"));
  QStringList spoken;
  for (const HistogramBar& b : bars_)
    if (b.count > 0) spoken << tr("%1 to %2: %3").arg(counted(b.from), counted(b.to), counted(b.count));
  setAccessibleDescription(spoken.join(QStringLiteral("; ")) + tr("; cut at %1").arg(counted(cut_)));
  update();
}

/// The axis ends at the longest sample, or a little beyond the cut when that is near.
double Histogram::right() const {
  const double longest = bars_.empty() ? 1 : bars_.back().to + 1;
  return cut_ > longest && cut_ < 2 * longest ? cut_ * 1.04 : longest;
}

QRectF Histogram::plotArea() const {
  const double text = QFontMetricsF(Theme::instance().small()).height();
  return QRectF(rect()).adjusted(units(1), text + units(1), -units(1), -text - units(1.5));
}

void Histogram::paintEvent(QPaintEvent*) {
  if (bars_.empty()) return;
  QPainter p(this);
  p.setRenderHint(QPainter::Antialiasing);
  p.setFont(Theme::instance().small());
  const QRectF area = plotArea();
  const double most = std::max(1.0, std::max_element(bars_.begin(), bars_.end(), [](auto& a, auto& b) { return a.count < b.count; })->count);
  const auto x = [&](double v) { return area.left() + area.width() * std::min(1.0, v / right()); };
  for (const HistogramBar& b : bars_) {
    const double h = area.height() * b.count / most;
    if (b.count <= 0) continue;
    const QRectF bar(x(b.from) + 0.5, area.bottom() - std::max(h, 2.0), std::max(1.0, x(b.to + 1) - x(b.from) - 1), std::max(h, 2.0));
    const bool beyond = cut_ > 0 && b.from >= cut_;
    p.fillRect(bar, beyond ? QBrush(colors().series[3], Qt::BDiagPattern) : QBrush(colors().series[1]));
    if (beyond) {
      p.setPen(colors().series[3]);
      p.drawRect(bar);
    }
  }
  p.setPen(colors().line_strong);
  p.drawLine(area.bottomLeft(), area.bottomRight());
  p.setPen(colors().muted);
  const QRectF below(area.left(), area.bottom() + units(0.5), area.width(), height() - area.bottom());
  p.drawText(below, Qt::AlignLeft | Qt::AlignTop, QStringLiteral("0"));
  p.drawText(below, Qt::AlignRight | Qt::AlignTop, tr("%1 tokens").arg(counted(right())));
  if (cut_ > 0 && cut_ <= right()) {
    QPen pen(colors().error, std::max(1.0, units(1) * 0.35), Qt::DashLine);
    p.setPen(pen);
    p.drawLine(QPointF(x(cut_), area.top() - units(1)), QPointF(x(cut_), area.bottom()));
    const QString text = tr("cut at %1").arg(counted(cut_));
    const double w = p.fontMetrics().horizontalAdvance(text) + units(1);
    p.drawText(QRectF(std::max(area.left(), std::min(x(cut_) - w / 2, area.right() - w)), 0, w, area.top() - units(1)), Qt::AlignCenter, text);
  } else if (cut_ > 0) {
    p.drawText(QRectF(area.left(), 0, area.width(), area.top() - units(1)), Qt::AlignRight | Qt::AlignVCenter, tr("no sample reaches the cut at %1").arg(counted(cut_)));
  }
}

bool Histogram::event(QEvent* event) {
  if (event->type() == QEvent::ToolTip && !bars_.empty()) {
    const auto* help = static_cast<QHelpEvent*>(event);
    const double at = (help->pos().x() - plotArea().left()) / plotArea().width() * right();
    for (const HistogramBar& b : bars_)
      if (at >= b.from && at < b.to + 1)
        QToolTip::showText(help->globalPos(), tr("%1 to %2 tokens: %3 samples").arg(counted(b.from), counted(b.to), counted(b.count)), this);
    return true;
  }
  return QWidget::event(event);
}

}  // namespace lorikeet::ui
