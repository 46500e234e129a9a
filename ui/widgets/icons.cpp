#include "ui/widgets/icons.h"

#include <QFile>
#include <QIconEngine>
#include <QPainter>
#include <QSvgRenderer>
#include <algorithm>
#include <cmath>

#include "ui/widgets/theme.h"

namespace lorikeet::ui {
namespace {

QByteArray svg_text(const QString& name, const QColor& color) {
  QFile file(QStringLiteral(":/icons/%1.svg").arg(name));
  if (!file.open(QIODevice::ReadOnly)) return {};
  return file.readAll().replace("currentColor", color.name().toLatin1());
}

/// Draws at whatever size and ratio is asked, so nothing is ever scaled up.
class TintedEngine : public QIconEngine {
 public:
  TintedEngine(QString name, QColor color) : name_(std::move(name)), color_(std::move(color)) {}
  void paint(QPainter* painter, const QRect& rect, QIcon::Mode mode, QIcon::State) override {
    QColor color = color_.isValid() ? color_ : colors().text;
    if (mode == QIcon::Disabled) color = colors().muted, color.setAlphaF(0.6F);
    const int side = std::min(rect.width(), rect.height());  // room beyond it stays empty, as a gap before the text
    QSvgRenderer(svg_text(name_, color)).render(painter, QRect(rect.left(), rect.top() + (rect.height() - side) / 2, side, side));
  }
  QPixmap pixmap(const QSize& size, QIcon::Mode mode, QIcon::State state) override {
    QPixmap out(size);
    out.fill(Qt::transparent);
    QPainter painter(&out);
    paint(&painter, QRect(QPoint(0, 0), size), mode, state);
    return out;
  }
  QIconEngine* clone() const override { return new TintedEngine(name_, color_); }

 private:
  QString name_;
  QColor color_;
};

}  // namespace

QIcon icon(const QString& name) { return QIcon(new TintedEngine(name, {})); }
QIcon icon(const QString& name, const QColor& color) { return QIcon(new TintedEngine(name, color)); }

QPixmap icon_pixmap(const QString& name, const QColor& color, int size, double ratio) {
  const int pixels = int(std::ceil(size * ratio));
  QPixmap out(pixels, pixels);
  out.fill(Qt::transparent);
  QPainter painter(&out);
  QSvgRenderer(svg_text(name, color)).render(&painter, QRectF(0, 0, pixels, pixels));
  painter.end();
  out.setDevicePixelRatio(ratio);
  return out;
}

}  // namespace lorikeet::ui
