/// Bars of sample lengths with the cut drawn as a line; bars beyond it are hatched, not only coloured.
#pragma once
#include <QWidget>
#include <vector>

#include "ui/viewmodels/data_view_model.h"

namespace lorikeet::ui {

class Histogram : public QWidget {
  Q_OBJECT
 public:
  explicit Histogram(QWidget* parent = nullptr);
  void setBars(std::vector<HistogramBar> bars, double cut);
  QSize sizeHint() const override;
  QSize minimumSizeHint() const override;

 protected:
  void paintEvent(QPaintEvent* event) override;
  bool event(QEvent* event) override;

 private:
  QRectF plotArea() const;
  double right() const;
  std::vector<HistogramBar> bars_;
  double cut_ = 0;
};

}  // namespace lorikeet::ui
