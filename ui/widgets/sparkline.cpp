#include "ui/widgets/sparkline.h"

#include <QPainter>
#include <QPainterPath>
#include <algorithm>
#include <cmath>
#include <limits>

#include "ui/widgets/theme.h"

namespace lorikeet::ui {

Sparkline::Sparkline(QWidget* parent) : QWidget(parent) { setAttribute(Qt::WA_TransparentForMouseEvents); }

void Sparkline::setValues(std::vector<float> values) {
  values_ = std::move(values);
  update();
}

QSize Sparkline::sizeHint() const { return {units(24), units(5)}; }

void Sparkline::paintEvent(QPaintEvent*) {
  float low = std::numeric_limits<float>::max(), high = std::numeric_limits<float>::lowest();
  for (const float v : values_)
    if (std::isfinite(v)) low = std::min(low, v), high = std::max(high, v);
  if (values_.size() < 2 || low > high) return;
  if (from_zero_) low = std::min(low, 0.0F);
  if (high - low < 1e-12F) high = low + 1;
  QPainter p(this);
  p.setRenderHint(QPainter::Antialiasing);
  const double pad = units(0.5), w = width() - 2 * pad, h = height() - 2 * pad;
  QPainterPath path;
  bool pen_down = false;
  for (size_t i = 0; i < values_.size(); ++i) {
    if (!std::isfinite(values_[i])) {
      pen_down = false;
      continue;
    }
    const QPointF at(pad + w * double(i) / double(values_.size() - 1), pad + h * double(high - values_[i]) / double(high - low));
    pen_down ? path.lineTo(at) : path.moveTo(at);
    pen_down = true;
  }
  p.setPen(QPen(colors().accent, std::max(1.0, units(1) * 0.4), Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin));
  p.drawPath(path);
}

}  // namespace lorikeet::ui
