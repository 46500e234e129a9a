/// A line without axes: a run's loss on its card, or the drawn learning-rate schedule beside its field.
#pragma once
#include <QWidget>
#include <vector>

namespace lorikeet::ui {

class Sparkline : public QWidget {
  Q_OBJECT
 public:
  explicit Sparkline(QWidget* parent = nullptr);
  /// Values from left to right; not finite ones are gaps.
  void setValues(std::vector<float> values);
  void setFromZero(bool on) { from_zero_ = on; }
  QSize sizeHint() const override;

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  std::vector<float> values_;
  bool from_zero_ = false;
};

}  // namespace lorikeet::ui
