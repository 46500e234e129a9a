#include "ui/widgets/memory_bar.h"

#include <QGridLayout>
#include <QPainter>
#include <QPainterPath>
#include <algorithm>

#include "core/base/text.h"
#include "ui/widgets/labels.h"
#include "ui/widgets/theme.h"

namespace lorikeet::ui {
namespace {

QString bytes_text(quint64 bytes) { return QString::fromStdString(human_bytes(bytes)); }
QColor part_color(size_t i) { return colors().series[std::min<size_t>(i, 4)]; }

/// The little square of a legend line.
class Swatch : public QWidget {
 public:
  explicit Swatch(size_t index) : index_(index) { setFixedSize(units(2), units(2)); }

 protected:
  void paintEvent(QPaintEvent*) override {
    QPainter p(this);
    p.setRenderHint(QPainter::Antialiasing);
    p.setPen(Qt::NoPen);
    p.setBrush(part_color(index_));
    p.drawRoundedRect(rect(), units(0.5), units(0.5));
  }

 private:
  size_t index_;
};

}  // namespace

StackedBar::StackedBar(QWidget* parent) : QWidget(parent) { setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed); }

QSize StackedBar::sizeHint() const { return {units(40), units(4)}; }

void StackedBar::setParts(std::vector<MemoryPart> parts, quint64 whole) {
  parts_ = std::move(parts);
  whole_ = whole;
  update();
}

void StackedBar::paintEvent(QPaintEvent*) {
  QPainter p(this);
  p.setRenderHint(QPainter::Antialiasing);
  const QRectF area = QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5);
  QPainterPath outline;
  outline.addRoundedRect(area, units(1), units(1));
  p.fillPath(outline, colors().window);
  quint64 sum = 0;
  for (const MemoryPart& part : parts_) sum += part.bytes;
  const double scale = double(std::max(sum, whole_));
  p.save();
  p.setClipPath(outline);
  double x = area.left();
  for (size_t i = 0; i < parts_.size() && scale > 0; ++i) {
    const double w = area.width() * double(parts_[i].bytes) / scale;
    p.fillRect(QRectF(x, area.top(), w, area.height()), part_color(i));
    x += w;
  }
  if (sum > whole_ && whole_ > 0) {  // the limit, when the parts go beyond it
    const double limit = area.left() + area.width() * double(whole_) / scale;
    p.fillRect(QRectF(limit, area.top(), units(0.6), area.height()), colors().error);
  }
  p.restore();
  p.setPen(colors().line_strong);
  p.drawPath(outline);
}

MemoryBar::MemoryBar(QWidget* parent) : QWidget(parent), bar_(new StackedBar), legend_(new QGridLayout) {
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(units(2));
  column->addWidget(bar_);
  legend_->setHorizontalSpacing(units(2));
  legend_->setVerticalSpacing(units(0.7));
  legend_->setColumnStretch(1, 1);
  column->addLayout(legend_);
}

void MemoryBar::setParts(const std::vector<MemoryPart>& parts, quint64 total, quint64 available) {
  bar_->setParts(parts, available);
  while (QLayoutItem* item = legend_->takeAt(0)) {
    delete item->widget();
    delete item;
  }
  int row = 0;
  QStringList spoken;
  for (size_t i = 0; i < parts.size(); ++i, ++row) {
    legend_->addWidget(new Swatch(i), row, 0, Qt::AlignVCenter);
    legend_->addWidget(make_label(parts[i].name), row, 1);
    legend_->addWidget(new FigureLabel(bytes_text(parts[i].bytes)), row, 2, Qt::AlignRight);
    spoken << parts[i].name + ' ' + bytes_text(parts[i].bytes);
  }
  const QString sum = tr("Total of %1 free").arg(bytes_text(available));
  legend_->addWidget(make_label(sum, "strong"), row, 1);
  legend_->addWidget(new FigureLabel(bytes_text(total), "strong"), row, 2, Qt::AlignRight);
  setAccessibleName(tr("Memory"));
  setAccessibleDescription(spoken.join(QStringLiteral(", ")) + QStringLiteral(". ") + sum + ' ' + bytes_text(total));
}

}  // namespace lorikeet::ui
