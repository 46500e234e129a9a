/// One chart: lines over a common x, with a cursor, zoom by wheel, pan by dragging, double click to reset. The header
/// holds the figures of now, or of the step under the cursor. Smooth with 100,000 points: new points are appended, and
/// the lines are thinned to what a pixel column can show.
#pragma once
#include <QFrame>
#include <QVector>
#include <vector>

class QCustomPlot;
class QCPGraph;
class QCPItemStraightLine;
class QCPPainter;
class QLabel;
namespace lorikeet::ui {

struct SeriesLook {
  int color = 1;        // index into Theme's series
  bool faint = false;   // raw values behind a smoothed line
  bool points = false;  // rings instead of a line
  bool dashed = false;  // differs by more than colour
};
enum class AxisNumbers { plain, bytes, thousands, whole };

class Chart : public QFrame {
  Q_OBJECT
 public:
  Chart(const QString& title, AxisNumbers numbers, QWidget* parent = nullptr);
  int addSeries(const QString& name, SeriesLook look);
  void setData(int series, const QVector<double>& x, const QVector<double>& y);
  void append(int series, const QVector<double>& x, const QVector<double>& y);
  /// A dashed level line, for the clip norm or the memory estimate; NaN hides it.
  void setLevel(double y, const QString& name);
  void setCaption(const QString& text);
  void setLogarithmic(bool on);
  void setFromZero(bool on) { from_zero_ = on; }
  /// The x every chart of the page shows when it is not zoomed.
  void setFullRange(double from, double to);
  /// `whole`: no figures between two whole ones, as for steps.
  void setXName(const QString& name, bool whole);

  void showCursor(double x);  // NaN hides it
  void setXRange(double from, double to);
  void resetZoom();
  bool isZoomed() const { return zoomed_; }
  /// Redraws soon, at most once for many calls.
  void replotSoon();
  /// A picture with the title: SVG by the name's end, else PNG. False when it could not be written.
  bool save(const QString& path);
  QString title() const { return title_; }
  double valueAt(int series, double x) const;

 signals:
  void cursorMoved(double x);
  void xRangeChanged(double from, double to);
  void zoomReset();

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  struct Series { QCPGraph* graph; SeriesLook look; QString name; };
  void applyTheme();
  void styleSeries(const Series& series);
  void fitY();
  void drawInto(QCPPainter& painter, QSize size);
  void makeTicker();

  QString title_;
  AxisNumbers numbers_;
  QLabel* caption_;
  QCustomPlot* plot_;
  QCPItemStraightLine *cursor_, *level_;
  std::vector<Series> series_;
  double full_from_ = 0, full_to_ = 1, level_y_;
  bool zoomed_ = false, from_zero_ = false, logarithmic_ = false, setting_range_ = false;
};

}  // namespace lorikeet::ui
