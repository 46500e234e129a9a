/// Lies over the window while something is dragged over it and says what dropping it will do.
#pragma once
#include <QWidget>

namespace lorikeet::ui {

class DropOverlay : public QWidget {
  Q_OBJECT
 public:
  explicit DropOverlay(QWidget* window);
  void showFor(const QString& sentence);

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  QString sentence_;
};

}  // namespace lorikeet::ui
