#include "ui/widgets/chart.h"

#include <qcustomplot.h>

#include <QFileInfo>
#include <QSvgGenerator>
#include <QTextDocumentFragment>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/text.h"
#include "ui/widgets/labels.h"
#include "ui/widgets/number_edit.h"
#include "ui/widgets/theme.h"

namespace lorikeet::ui {
namespace {

constexpr double kAir = 0.012;
const double kNan = std::numeric_limits<double>::quiet_NaN();

/// Short labels: 2e-4, 1.5, 3k, 600 MB; all of one axis written in one way.
class ShortTicker : public QCPAxisTicker {
 public:
  explicit ShortTicker(AxisNumbers numbers, int count = 3) : numbers_(numbers) {
    setTickStepStrategy(tssReadability);
    setTickCount(count);
  }

 protected:
  double getTickStep(const QCPRange& range) override {
    const double step = QCPAxisTicker::getTickStep(range);
    return numbers_ == AxisNumbers::whole ? std::max(1.0, std::floor(step)) : step;
  }
  QVector<QString> createLabelVector(const QVector<double>& ticks, const QLocale& locale, QChar format, int precision) override {
    double largest = 0;
    for (const double tick : ticks) largest = std::max(largest, std::fabs(tick));
    tiny_ = largest < 9e-3;
    return QCPAxisTicker::createLabelVector(ticks, locale, format, precision);
  }
  QString getTickLabel(double tick, const QLocale&, QChar, int) override {
    if (std::fabs(tick) < 1e-15) return QStringLiteral("0");
    if (numbers_ == AxisNumbers::bytes) return QString::fromStdString(human_bytes(uint64_t(std::max(0.0, tick))));
    const double size = std::fabs(tick);
    if (size >= 1e6) return QString::number(tick / 1e6, 'g', 4) + 'M';
    if (size >= 1e4 || (numbers_ == AxisNumbers::thousands && size >= 1e3)) return QString::number(tick / 1e3, 'g', 4) + 'k';
    const double round = std::round(tick * 1e12) / 1e12;
    if (!tiny_) return NumberEdit::textOf(round);
    const int exponent = int(std::floor(std::log10(size) + 1e-9));
    return QString::number(round / std::pow(10, exponent), 'g', 4) + QStringLiteral("e%1").arg(exponent);
  }

 private:
  AxisNumbers numbers_;
  bool tiny_ = false;
};

}  // namespace

Chart::Chart(const QString& title, AxisNumbers numbers, QWidget* parent)
    : QFrame(parent), title_(title), numbers_(numbers), caption_(make_label({}, "small")), plot_(new QCustomPlot), level_y_(kNan) {
  setObjectName(QStringLiteral("card"));
  setAccessibleName(title);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(units(3.5), units(2.5), units(2), units(1.5));
  column->setSpacing(units(1));
  auto* head = new QHBoxLayout;
  head->setSpacing(units(2.5));
  head->addWidget(make_label(title, "strong"));
  head->addWidget(caption_, 1);
  caption_->setMinimumWidth(units(10));
  caption_->setTextFormat(Qt::RichText);
  column->addLayout(head);
  column->addWidget(plot_, 1);
  plot_->setMinimumHeight(units(22));
  plot_->setFocusPolicy(Qt::NoFocus);
  plot_->setInteractions(QCP::iRangeDrag | QCP::iRangeZoom);
  plot_->axisRect()->setRangeDrag(Qt::Horizontal);
  plot_->axisRect()->setRangeZoom(Qt::Horizontal);
  plot_->setNoAntialiasingOnDrag(true);
  plot_->setPlottingHint(QCP::phFastPolylines, true);
  plot_->legend->setVisible(false);
  cursor_ = new QCPItemStraightLine(plot_);
  level_ = new QCPItemStraightLine(plot_);
  cursor_->setVisible(false);
  level_->setVisible(false);
  makeTicker();
  plot_->axisRect()->setAutoMargins(QCP::msTop | QCP::msRight | QCP::msBottom);
  setXName({}, true);
  connect(plot_->xAxis, qOverload<const QCPRange&>(&QCPAxis::rangeChanged), this, [this](const QCPRange& range) {
    if (setting_range_) return;
    zoomed_ = true;
    fitY();
    emit xRangeChanged(range.lower, range.upper);
  });
  plot_->installEventFilter(this);
  connect(&Theme::instance(), &Theme::changed, this, &Chart::applyTheme);
  applyTheme();
}

void Chart::makeTicker() {
  if (logarithmic_) plot_->yAxis->setTicker(QSharedPointer<QCPAxisTickerLog>(new QCPAxisTickerLog));
  else plot_->yAxis->setTicker(QSharedPointer<ShortTicker>(new ShortTicker(numbers_)));
}

int Chart::addSeries(const QString& name, SeriesLook look) {
  QCPGraph* graph = plot_->addGraph();
  graph->setAdaptiveSampling(true);
  series_.push_back({graph, look, name});
  styleSeries(series_.back());
  return int(series_.size()) - 1;
}

void Chart::styleSeries(const Series& s) {
  QColor color = colors().series[size_t(s.look.color)];
  if (s.look.faint) color.setAlphaF(0.55F);
  const double width = std::max(1.0, units(1) * (s.look.faint ? 0.25 : 0.45));
  s.graph->setPen(QPen(color, width, s.look.dashed ? Qt::DashLine : Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin));
  if (!s.look.points) return;
  s.graph->setLineStyle(QCPGraph::lsNone);
  s.graph->setScatterStyle(QCPScatterStyle(QCPScatterStyle::ssCircle, QPen(color, width * 1.1), QBrush(colors().card), units(1.9)));
}

void Chart::applyTheme() {
  const ThemeColors& c = colors();
  plot_->setBackground(QBrush(c.card));
  for (QCPAxis* axis : {plot_->xAxis, plot_->yAxis}) {
    axis->setBasePen(QPen(c.line_strong));
    axis->setNumberFormat(QStringLiteral("g"));  // 2e-4 as written, not with a raised exponent
    axis->setTickPen(Qt::NoPen);
    axis->setSubTickPen(Qt::NoPen);
    axis->setTickLabelColor(c.muted);
    axis->setTickLabelFont(Theme::instance().small());
    axis->setLabelColor(c.muted);
    axis->setLabelFont(Theme::instance().small());
    axis->grid()->setPen(QPen(c.line, 1));
    axis->grid()->setZeroLinePen(QPen(c.line, 1));
  }
  // The same room for figures in every chart, so that one x stands under the other.
  const int room = QFontMetrics(Theme::instance().small()).horizontalAdvance(QStringLiteral("888 MB")) + units(2.5);
  plot_->axisRect()->setMargins(QMargins(room, 0, 0, 0));
  plot_->xAxis->grid()->setVisible(false);
  plot_->yAxis->setBasePen(Qt::NoPen);
  cursor_->setPen(QPen(c.muted, 1, Qt::DashLine));
  level_->setPen(QPen(c.series[3], std::max(1.0, units(1) * 0.35), Qt::DashLine));
  for (const Series& s : series_) styleSeries(s);
  replotSoon();
}

void Chart::setData(int series, const QVector<double>& x, const QVector<double>& y) {
  series_[size_t(series)].graph->setData(x, y, true);
  fitY();
  replotSoon();
}

void Chart::append(int series, const QVector<double>& x, const QVector<double>& y) {
  series_[size_t(series)].graph->addData(x, y, true);
  fitY();
  replotSoon();
}

void Chart::setLevel(double y, const QString& name) {
  level_y_ = y;
  level_->setVisible(std::isfinite(y));
  if (std::isfinite(y)) {
    level_->point1->setCoords(0, y);
    level_->point2->setCoords(1, y);
  }
  level_->setSelectable(false);
  plot_->setToolTip(std::isfinite(y) ? tr("The dashed line: %1").arg(name) : QString());
  fitY();
  replotSoon();
}

void Chart::setCaption(const QString& text) {
  caption_->setText(text);
  setAccessibleDescription(QTextDocumentFragment::fromHtml(text).toPlainText());
}

void Chart::setLogarithmic(bool on) {
  logarithmic_ = on;
  plot_->yAxis->setScaleType(on ? QCPAxis::stLogarithmic : QCPAxis::stLinear);
  makeTicker();
  fitY();
  replotSoon();
}

void Chart::setXName(const QString& name, bool whole) {
  plot_->xAxis->setLabel(name);
  plot_->xAxis->setTicker(QSharedPointer<ShortTicker>(new ShortTicker(whole ? AxisNumbers::whole : AxisNumbers::plain, 5)));
}

void Chart::setFullRange(double from, double to) {
  full_from_ = from;
  full_to_ = to > from ? to + kAir * (to - from) : from + 1;  // the last ring whole
  if (!zoomed_) setXRange(full_from_, full_to_), zoomed_ = false;
}

void Chart::setXRange(double from, double to) {
  setting_range_ = true;
  plot_->xAxis->setRange(from, to);
  setting_range_ = false;
  zoomed_ = from > full_from_ || to < full_to_;
  fitY();
  replotSoon();
}

void Chart::resetZoom() {
  zoomed_ = false;
  setXRange(full_from_, full_to_);
}

/// The y range of what is seen, with a little air; raw values' outliers are inside too.
void Chart::fitY() {
  const QCPRange x = plot_->xAxis->range();
  double low = std::numeric_limits<double>::max(), high = std::numeric_limits<double>::lowest();
  for (const Series& s : series_) {
    bool found = false;
    const QCPRange r = s.graph->getValueRange(found, logarithmic_ ? QCP::sdPositive : QCP::sdBoth, x);
    if (!found) continue;
    low = std::min(low, r.lower), high = std::max(high, r.upper);
  }
  const bool empty = low > high;  // no axis of invented figures
  plot_->xAxis->setTickLabels(!empty);
  plot_->yAxis->setTickLabels(!empty);
  plot_->yAxis->grid()->setVisible(!empty);
  level_->setVisible(!empty && std::isfinite(level_y_));
  if (empty) low = logarithmic_ ? 0.1 : 0, high = 1;
  if (std::isfinite(level_y_) && level_y_ < 4 * std::max(high, 1e-30)) high = std::max(high, level_y_);
  if (logarithmic_) return plot_->yAxis->setRange(low / 1.15, high * 1.15);
  if (from_zero_) low = std::min(low, 0.0);
  const double air = std::max((high - low) * 0.08, std::max(std::fabs(high), 1e-12) * 1e-3);
  const bool rings = std::any_of(series_.begin(), series_.end(), [](const Series& s) { return s.look.points; });
  const double floor = rings ? -0.035 * high : 0;  // a ring near zero stays whole
  plot_->yAxis->setRange(from_zero_ && low >= 0 ? floor : low - air, high + air);
}

void Chart::replotSoon() {
  if (isVisible()) plot_->replot(QCustomPlot::rpQueuedReplot);
}

double Chart::valueAt(int series, double x) const {
  const auto points = series_[size_t(series)].graph->data();
  const auto it = points->findBegin(x, false);
  return it == points->constEnd() ? kNan : it->value;
}

void Chart::showCursor(double x) {
  cursor_->setVisible(std::isfinite(x));
  if (std::isfinite(x)) {
    cursor_->point1->setCoords(x, plot_->yAxis->range().lower);
    cursor_->point2->setCoords(x, plot_->yAxis->range().upper);
  }
  replotSoon();
}

bool Chart::save(const QString& path) {
  constexpr int kWidth = 1000, kHeight = 560;
  if (path.endsWith(QLatin1String(".svg"), Qt::CaseInsensitive)) {
    QSvgGenerator out;
    out.setFileName(path);
    out.setSize({kWidth, kHeight});
    out.setViewBox(QRect(0, 0, kWidth, kHeight));
    out.setTitle(title_);
    if (!QFileInfo(QFileInfo(path).absolutePath()).isWritable()) return false;  // the generator itself only warns
    QCPPainter painter(&out);
    painter.setMode(QCPPainter::pmVectorized);
    drawInto(painter, {kWidth, kHeight});
    return painter.end() && QFileInfo(path).size() > 0;
  }
  QImage image(2 * kWidth, 2 * kHeight, QImage::Format_RGB32);
  image.setDevicePixelRatio(2);
  QCPPainter painter(&image);
  drawInto(painter, {kWidth, kHeight});
  return painter.end() && image.save(path);
}

/// The chart as it is seen, with its title and figures above it.
void Chart::drawInto(QCPPainter& painter, QSize size) {
  const ThemeColors& c = colors();
  const int edge = units(4), head = units(10);
  painter.fillRect(QRect(QPoint(0, 0), size), c.card);
  painter.setFont(Theme::instance().title());
  painter.setPen(c.text);
  painter.drawText(QRect(edge, 0, size.width() - 2 * edge, head), Qt::AlignLeft | Qt::AlignVCenter, title_);
  painter.setFont(Theme::instance().small());
  painter.setPen(c.muted);
  painter.drawText(QRect(edge, 0, size.width() - 2 * edge, head), Qt::AlignRight | Qt::AlignVCenter, accessibleDescription());
  painter.translate(edge, head);
  plot_->toPainter(&painter, size.width() - 2 * edge, size.height() - head - edge);
}

bool Chart::eventFilter(QObject* watched, QEvent* event) {
  if (event->type() == QEvent::MouseMove) emit cursorMoved(plot_->xAxis->pixelToCoord(static_cast<QMouseEvent*>(event)->position().x()));
  if (event->type() == QEvent::Leave) emit cursorMoved(kNan);
  if (event->type() == QEvent::Show) plot_->replot(QCustomPlot::rpQueuedReplot);
  if (event->type() == QEvent::MouseButtonDblClick) {
    emit zoomReset();
    return true;
  }
  return QFrame::eventFilter(watched, event);
}

}  // namespace lorikeet::ui
